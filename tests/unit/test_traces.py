import pytest

from refresher.store.traces import Trace, refreshed_outside

KNOWN = Trace(storage=1, rows_written=100)


@pytest.mark.parametrize(
    ("storage", "rows_written", "exactly", "seen"),
    [
        (1, 100, True, False),  # nothing has happened
        (1, 103, True, True),  # CONCURRENTLY
        (1, 103, False, False),  # that, or rows of ours that were rolled back
        (2, 110, True, True),  # a plain one
        (2, 110, False, True),  # rolled back, it would have left no new file
        (2, 100, True, False),  # VACUUM FULL; or a plain one that is not counted yet
        (2, 40, True, False),  # our own is not counted yet, nor somebody else's
        (1, 0, True, False),  # the counters were reset
    ],
)
def test_traces_tell_whether_somebody_else_refreshed(
    storage: int, rows_written: int, *, exactly: bool, seen: bool
) -> None:
    found = Trace(storage=storage, rows_written=rows_written)

    assert refreshed_outside(KNOWN, found, counted_exactly=exactly) is seen
