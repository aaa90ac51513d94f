"""When old runs are forgotten: all views' in turn, between more urgent things."""

import time

from refresher.postgres.sessions import Connection
from refresher.store.purge import FIRST, purge_runs

_EVERY_SECONDS = 3600.0
"""From one turn of all views to the next; a view has that many more runs than are kept."""
_AT_A_TIME_SECONDS = 0.02
"""After which other things have their turn: five views take some milliseconds."""


class Purging:
    """One database's; `go_on` is called by its loop, every two seconds."""

    def __init__(self) -> None:
        self._after: str | None = None
        """The last view whose turn has come; None between two turns of all."""
        self._next_at = time.monotonic()

    def go_on(self, connection: Connection) -> None:
        """Forget some, if it is time to.

        Raises:
            psycopg.Error: the database went away.
        """
        now = time.monotonic()
        if self._after is None and now >= self._next_at:
            self._after, self._next_at = FIRST, now + _EVERY_SECONDS
        while self._after is not None:
            self._after = purge_runs(connection, after=self._after)
            if time.monotonic() >= now + _AT_A_TIME_SECONDS:
                return
