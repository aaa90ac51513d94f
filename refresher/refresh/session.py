"""A worker's connection to one database: opened when needed, thrown away when in doubt."""

import contextlib
from collections.abc import Mapping

import psycopg
from psycopg import sql

from refresher.config.model import Timeouts
from refresher.postgres.sessions import (
    Connection,
    Endpoint,
    connect,
    detects_disconnects,
    local_settings,
    major,
)

_WITH_TIMEOUT = 17
"""The first major with transaction_timeout."""
MOST_ATTEMPTS = 250
"""After how many a connection has served for long enough.

Up to PostgreSQL 17 a session keeps the row type of each temporary table that a concurrent refresh
made, and goes through all of them whenever a catalog changes (src/backend/utils/cache/typcache.c,
TypeCacheRelCallback). By experiment on 15, a refresh of ten rows takes 5 ms at first, and 10 ms
after 4,000 others."""


class Session:
    """One connection at a time to one database, for one thread."""

    def __init__(self, endpoint: Endpoint, *, worker: str) -> None:
        self.endpoint = endpoint
        self.worker = worker
        self._connection: Connection | None = None
        self._attempts = 0
        """Those that the connection has served."""
        self._checks_client: bool | None = None
        self._local_settings: dict[Timeouts, sql.SQL] = {}
        """What was composed for this connection: it takes as long as two statements."""

    def connection(self) -> Connection:
        """A connection that is idle and believed to work.

        Raises:
            UnreachableError: the database can't be reached.
        """
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = connect(self.endpoint, application=f"refresher {self.worker}")
            self._local_settings.clear()
            self._attempts = 0
        return self._connection

    @property
    def checks_client(self) -> bool:
        """Whether the server can watch for a vanished client; tested once."""
        if self._checks_client is None:
            self._checks_client = detects_disconnects(self.connection())
        return self._checks_client

    def begin_attempt(self) -> Connection:
        """The connection for another attempt: one in many has a new one.

        Raises:
            UnreachableError: the database can't be reached.
        """
        if self._attempts >= MOST_ATTEMPTS:
            self.discard()
        connection = self.connection()
        self._attempts += 1
        return connection

    def discard(self) -> None:
        """Close the connection; the next use opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def settings(self) -> Mapping[str, str]:
        """The configured SET LOCAL settings."""
        return self.endpoint.session

    def local_settings(self, timeouts: Timeouts) -> sql.SQL:
        """The SET LOCAL statements that long work on a view begins with.

        Its own timeouts bound it: one on whole transactions, which PostgreSQL 17 and later may have
        from the role or the database, would end it in the middle.
        """
        connection = self.connection()
        if timeouts not in self._local_settings:
            whole = {"transaction_timeout": "0"} if major(connection) >= _WITH_TIMEOUT else {}
            composed = local_settings(
                {**self.settings, **whole},
                statement=timeouts.statement,
                lock=timeouts.lock,
                checks_client=self.checks_client,
            )
            self._local_settings[timeouts] = sql.SQL(composed.as_string(connection))
        return self._local_settings[timeouts]

    def cancel(self) -> None:
        """Ask the server to cancel what the connection is running, from another thread."""
        connection = self._connection
        if connection is not None and not connection.closed:
            # The request itself may fail when the server is going away; the caller repeats it.
            with contextlib.suppress(psycopg.Error):
                connection.cancel_safe(timeout=2)
