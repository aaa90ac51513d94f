"""How much of the time, the disk and the standbys writing leaves to others."""

import time
from dataclasses import dataclass, field
from datetime import timedelta

from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.refresh.columns", "pace.sql")

MOST_ROWS = 500
"""In a batch: more would cost hardly less a row."""
FIRST_ROWS = 50
LONG = timedelta(milliseconds=50)
"""How long a batch may wait for a lock; one that takes longer has fewer rows the next time."""
LOOK_AGAIN = timedelta(seconds=1)
"""How often standbys are looked at."""


def rest(took: timedelta, rows: int, most_a_second: int | None) -> timedelta:
    """How long to leave the table to its other writers after a batch of rows.

    For as long as it took: who works half of the time leaves half of the disk to others. Longer, if
    only so many rows may be written in a second.
    """
    if most_a_second is None:
        return took
    return max(took, timedelta(seconds=rows / most_a_second) - took)


def next_rows(rows: int, took: timedelta) -> int:
    """How many rows to write after a batch of so many.

    Triggers of the table may take milliseconds a row, with all rows of the batch locked; and where
    one of them waits for a lock in vain, all of the batch have to be tried again.
    """
    if took >= LONG:
        return max(1, rows // 2)
    return min(MOST_ROWS, rows * 2) if took < LONG / 2 else rows


@dataclass(slots=True)
class Standbys:
    """Those that replay what is written, and may be behind by so much; None for any length."""

    most_lag: timedelta | None
    _fine_until: float = field(default=0.0, init=False)

    def are_behind(self, connection: Connection) -> bool:
        """Whether one is further behind than it may be; asked at most once in `LOOK_AGAIN`.

        Raises:
            psycopg.Error: whatever PostgreSQL says.
        """
        if self.most_lag is None or time.monotonic() < self._fine_until:
            return False
        found = connection.execute(_QUERIES["replication_lag"]).fetchone()
        assert found is not None  # noqa: S101 - an aggregate always returns one row
        if found["lag"] is not None and found["lag"] > self.most_lag:
            return True
        self._fine_until = time.monotonic() + LOOK_AGAIN.total_seconds()
        return False
