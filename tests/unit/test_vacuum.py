from typing import Any

import pytest

from refresher.refresh.vacuum import PAUSE, Command, NotYet, VacuumFacts, Wanted, decide
from tests.unit.builders import HOUR, SECOND


def facts(**fields: Any) -> VacuumFacts:
    """A view of a thousand rows that wants nothing."""
    return VacuumFacts(
        **{
            "rows": 1000,
            "dead_rows": 0,
            "unremovable": 0,
            "modified": 0,
            "since_vacuum": HOUR,
            "since_analyze": HOUR,
            **fields,
        }
    )


def test_a_view_at_rest_wants_nothing() -> None:
    assert decide(facts()) is None
    assert decide(facts(since_vacuum=None)) is None


@pytest.mark.parametrize(("rows", "limit"), [(0, 50), (1000, 150), (1_000_000, 100_050)])
def test_many_dead_rows_want_to_be_removed(rows: int, limit: int) -> None:
    assert decide(facts(rows=rows, dead_rows=limit)) is None
    more = limit + 1
    assert decide(facts(rows=rows, dead_rows=more)) == Wanted(
        Command.VACUUM, f"{more:,} of {rows + more:,} rows are dead"
    )


def test_many_written_rows_want_to_be_analysed() -> None:
    assert decide(facts(modified=150)) is None
    assert decide(facts(modified=151)) == Wanted(
        Command.ANALYZE, "151 rows were written since ANALYZE"
    )


def test_what_was_never_analysed_is_unless_it_is_small() -> None:
    assert decide(facts(since_analyze=None)) == Wanted(Command.ANALYZE, "it was never analysed")
    assert decide(facts(rows=50, since_analyze=None)) is None


def test_both_are_done_at_once() -> None:
    assert decide(facts(dead_rows=2000, modified=2000)) == Wanted(
        Command.BOTH, "2,000 of 3,000 rows are dead; 2,000 rows were written since ANALYZE"
    )


def test_what_could_not_be_removed_is_not_tried_for_again() -> None:
    assert decide(facts(dead_rows=5000, unremovable=4900)) is None
    assert decide(facts(dead_rows=5100, unremovable=4900)) is not None
    assert decide(facts(dead_rows=100, unremovable=4900)) is None


def test_neither_is_done_all_the_time() -> None:
    just_now = facts(dead_rows=2000, modified=2000, since_vacuum=SECOND, since_analyze=2 * SECOND)
    assert decide(just_now) == NotYet(PAUSE - 2 * SECOND)
    analysed = facts(dead_rows=2000, modified=2000, since_analyze=SECOND)
    assert isinstance(found := decide(analysed), Wanted)
    assert found.command is Command.VACUUM
