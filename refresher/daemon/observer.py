"""Reading each database's snapshot for the metrics, beside the work and never in its way."""

import logging
import threading
import time
from collections.abc import Mapping

import psycopg

from refresher.catalog.introspection import read_graph
from refresher.config.model import Database, View
from refresher.errors import RefresherError
from refresher.graph import Graph
from refresher.observe.latest import Latest
from refresher.observe.snapshot import read_snapshot
from refresher.postgres.sessions import Connection, Endpoint, connect
from refresher.store.migrate import require_current

_LOGGER = logging.getLogger(__name__)

_EVERY_SECONDS = 5.0
_AT_MOST_EVERY_SECONDS = 0.5
_GRAPH_SECONDS = 30.0
_STOP_SECONDS = 3.0


class Observer:
    """One database's. Scrapes read what it leaves in `latest`, so they ask no database anything."""

    def __init__(
        self,
        database: Database,
        endpoint: Endpoint,
        views: Mapping[str, View],
        *,
        latest: Latest,
    ) -> None:
        self.heartbeat = time.monotonic()
        self._database = database
        self._endpoint = endpoint
        self._views = dict(views)
        self._latest = latest
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._graph = Graph({}, frozenset())
        self._graph_at = 0.0
        self._thread = threading.Thread(
            target=self._run, name=f"{database.alias} observer", daemon=True
        )

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def replace_views(self, views: Mapping[str, View]) -> None:
        """Read a new configuration's views, at once."""
        self._views = dict(views)
        self._graph_at = 0.0
        self.look()

    def look(self) -> None:
        """Read now: something has changed."""
        self._bell.set()

    def stop(self) -> None:
        """Read no more; a hung database is not waited for."""
        self._stopping.set()
        self._bell.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        connection: Connection | None = None
        while not self._stopping.is_set():
            self._bell.clear()
            try:
                if connection is None:
                    connection = connect(self._endpoint, application="refresher observer")
                    require_current(connection)
                self._read(connection)
            except Exception as error:  # not even a bug may end the observer
                if not isinstance(error, RefresherError | psycopg.Error):
                    _LOGGER.warning("the observer failed", exc_info=error)
                # Why a database can't be read the loop says, once; here it is counted.
                self._latest.fail(self._database.alias)
                if connection is not None:
                    connection.close()
                connection = None
            self.heartbeat = time.monotonic()
            self._stopping.wait(_AT_MOST_EVERY_SECONDS)
            self._bell.wait(_EVERY_SECONDS)
        if connection is not None:
            connection.close()

    def _read(self, connection: Connection) -> None:
        views = self._views
        if time.monotonic() >= self._graph_at:
            self._graph_at = time.monotonic() + _GRAPH_SECONDS
            self._graph = read_graph(connection, views)
        self._latest.publish(read_snapshot(connection, self._database, views, self._graph))
