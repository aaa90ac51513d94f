"""How a database's loop fares: whether it goes round, and if it does not, whose fault that is.

A loop whose statement the server does not answer hangs through no fault of this process: starting
it anew would leave one more session that waits for the same, a lock or a synchronous standby.
"""

import time
from datetime import timedelta

from psycopg.pq import TransactionStatus

from refresher.events import DatabaseDown, DatabaseUp, Listener
from refresher.postgres.sessions import Connection

_SILENT_SECONDS = 60.0
"""A loop that has not gone round for so long hangs: connecting alone gives up after 5."""
_UNANSWERED_SECONDS = 30.0
"""No statement of a loop takes so long, but where a database is in trouble."""


class Pulse:
    """One loop's, which tells it how it goes; `look` and `silent` are for another thread."""

    def __init__(self, alias: str, emit: Listener) -> None:
        self._alias = alias
        self._emit = emit
        self._beat_at = time.monotonic()
        self._connection: Connection | None = None
        self._told = False
        """That the database does not answer."""

    def follow(self, connection: Connection) -> None:
        """This is what the loop asks by from now on."""
        self._connection = connection

    def beat(self) -> None:
        """The loop has gone round."""
        self._beat_at = time.monotonic()
        if self._told:
            self.up()

    def up(self) -> None:
        """The database can be worked with."""
        self._told = False
        self._emit(DatabaseUp(database=self._alias))

    def down(self, error: str, *, retry_in: timedelta) -> None:
        """The database can't be worked with; the loop goes on trying."""
        self._beat_at = time.monotonic()
        self._told = False
        self._emit(DatabaseDown(database=self._alias, error=error, retry_in=retry_in))

    @property
    def silent(self) -> bool:
        """Whether the loop hangs by itself."""
        return self._still_for(_SILENT_SECONDS) and not self._asks()

    def look(self) -> None:
        """Find out whether the loop has been left without an answer for long, and say so once."""
        if self._still_for(_UNANSWERED_SECONDS) and self._asks() and not self._told:
            self._told = True
            error = (
                f"no answer for {_UNANSWERED_SECONDS:.0f} s, though others may get theirs;"
                " `refresher doctor` tells whether COMMITs wait for a synchronous standby,"
                " pg_stat_activity what else is waited for"
            )
            self._emit(DatabaseDown(database=self._alias, error=error, retry_in=None))

    def _still_for(self, seconds: float) -> bool:
        return time.monotonic() - self._beat_at > seconds

    def _asks(self) -> bool:
        connection = self._connection
        return (
            connection is not None
            and connection.info.transaction_status is TransactionStatus.ACTIVE
        )
