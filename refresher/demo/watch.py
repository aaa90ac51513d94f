"""What is known of the demo's views now, read from the database while it answers."""

import time
from datetime import datetime

import psycopg

from refresher.catalog.introspection import read_graph
from refresher.config.model import Config
from refresher.demo.cure import ALIAS, demo_endpoint
from refresher.errors import RefresherError
from refresher.graph import Graph
from refresher.observe.model import DatabaseSnapshot
from refresher.observe.snapshot import read_snapshot
from refresher.postgres.sessions import Connection, connect


class Watch:
    """Looks at the views, and remembers what it saw last."""

    def __init__(self, config: Config) -> None:
        self.snapshot: DatabaseSnapshot | None = None
        """As it was seen last; None if the database never answered."""
        self.graph = Graph({}, frozenset())
        self._database = config.databases[ALIAS]
        self._endpoint = demo_endpoint(config)
        self.views = config.views_of(ALIAS)
        self._connection: Connection | None = None

    def look(self) -> None:
        """Read the views anew; while the database is away, what was seen last stays."""
        try:
            if self._connection is None:
                self._connection = connect(self._endpoint)
            connection, views = self._connection, self.views
            self.graph = read_graph(connection, views)
            self.snapshot = read_snapshot(connection, self._database, views, self.graph)
        except (RefresherError, psycopg.Error):
            self.close()

    def now(self) -> datetime | None:
        """The database's time, which goes on while nobody looks."""
        return None if self.snapshot is None else self.snapshot.now(time.monotonic())

    def data_as_of(self, view: str) -> datetime | None:
        """Up to when everything was in a view that is refreshed, when it was looked at last."""
        if self.snapshot is None:
            return None
        return self.snapshot.views[view].fixed_data_as_of

    def close(self) -> None:
        """Give the connection back; the next look opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
