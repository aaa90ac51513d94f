"""Telling somebody else's refresh from refresher's own by what it left behind. Pure.

Nothing in PostgreSQL says who refreshed a materialized view, or when. Two traces are left:

- its counters of inserted, updated and deleted rows, which nothing but REFRESH ever moves. They are
  exact but late: a transaction is counted some time after it is committed, and one that was rolled
  back may be counted, too (CONCURRENTLY is, a plain one is not; by experiment on 15 and 18);
- its file node, which is exact and known at once, but which VACUUM FULL and CLUSTER change as well.

So a refresh that wrote no row is not seen, nor is any where `track_counts` is off.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a refresh leaves behind."""

    storage: int
    """The file node."""
    rows_written: int
    """What the counters show once it is counted; less, as long as it is not."""


def refreshed_outside(known: Trace, found: Trace, *, counted_exactly: bool) -> bool:
    """Whether there has been a refresh after the last known one.

    Args:
        known: what the last known refresh left, with everything that was counted before it.
        found: what is there now; its counters were read before `known` was.
        counted_exactly: whether all that is counted was committed, and counted in time. A new file
            node is believed all the same: with rows written, it was a refresh.
    """
    if found.rows_written <= known.rows_written:
        return False
    return counted_exactly or found.storage != known.storage
