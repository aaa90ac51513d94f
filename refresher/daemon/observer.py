"""Reading each database's snapshot for the metrics, beside the work and never in its way."""

import logging
import threading
import time
from collections.abc import Mapping

import psycopg

from refresher.config.model import Database, View
from refresher.errors import RefresherError
from refresher.observe.follower import Follower
from refresher.observe.latest import Latest
from refresher.postgres.sessions import Connection, Endpoint, connect
from refresher.store.migrate import require_current

_LOGGER = logging.getLogger(__name__)

_EVERY_SECONDS = 5.0
_AT_MOST_EVERY_SECONDS = 0.5
_SHARE = 0.05
"""Of the time, at most, is spent on reading while things happen all the time."""
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
        self._outdated = threading.Event()
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._follower = Follower(database)
        self._thread = threading.Thread(
            target=self._run, name=f"{database.alias} observer", daemon=True
        )

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def replace_views(self, views: Mapping[str, View]) -> None:
        """Read a new configuration's views, at once."""
        self._views = dict(views)
        self.look()

    def look(self) -> None:
        """Read now: something has changed."""
        self._bell.set()

    def renew(self) -> None:
        """Read from whoever is the primary now: a demoted one goes on answering who only reads."""
        self._outdated.set()
        self.look()

    def stop(self) -> None:
        """Read no more; a hung database is not waited for."""
        self._stopping.set()
        self._bell.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._bell.clear()
            if self._outdated.is_set():
                self._outdated.clear()
                self._leave()
            began = time.monotonic()
            try:
                connection = self._connected()
                self._latest.publish(self._follower.read(connection, self._views))
            except Exception as error:  # not even a bug may end the observer
                if not isinstance(error, RefresherError | psycopg.Error):
                    _LOGGER.warning("the observer failed", exc_info=error)
                # Why a database can't be read the loop says, once; here it is counted.
                self._latest.fail(self._database.alias)
                self._leave()
            self.heartbeat = time.monotonic()
            rest = (self.heartbeat - began) / _SHARE
            self._stopping.wait(min(max(_AT_MOST_EVERY_SECONDS, rest), _EVERY_SECONDS))
            self._bell.wait(_EVERY_SECONDS)
        self._leave()

    def _connected(self) -> Connection:
        if self._connection is None:
            # What happened while there was no connection, nobody has told.
            self._follower = Follower(self._database)
            self._connection = connect(self._endpoint, application="refresher observer")
            require_current(self._connection)
        return self._connection

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
