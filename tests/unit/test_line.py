from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from refresher.schedule.line import Line
from refresher.schedule.urgency import Turn
from tests.unit.builders import MINUTE, NOON, SECOND

MOMENTS = st.integers(0, 5).map(lambda number: NOON + number * SECOND)
VIEWS = st.sampled_from("abcdefgh")
STEPS = st.lists(st.tuples(VIEWS, st.none() | MOMENTS), max_size=40)


def standing(*views: str) -> Line:
    line = Line()
    for place, view in enumerate(views):
        line.stand(Turn(NOON + place * SECOND, NOON, view))
    return line


def anybody(_: str) -> bool:
    return True


@given(steps=STEPS, number=st.integers(0, 9), unable=st.sets(VIEWS))
def test_the_first_are_those_with_the_smallest_turns(
    steps: list[tuple[str, datetime | None]], number: int, unable: set[str]
) -> None:
    line = Line()
    turns: dict[str, Turn] = {}
    for view, deadline in steps:
        if deadline is None:
            assert line.leave(view) == (turns.pop(view, None) is not None)
        else:
            turns[view] = Turn(deadline, NOON, view)
            line.stand(turns[view])
        able = [each.view for each in sorted(turns.values()) if each.view not in unable]
        assert line.first(number, lambda name: name not in unable) == able[:number]
        assert len(line) == len(turns)
        assert (view in line) == (view in turns)


def test_asking_changes_nothing() -> None:
    line = standing("a", "b", "c")
    assert line.first(2, anybody) == line.first(2, anybody) == ["a", "b"]
    assert line.first(9, anybody) == ["a", "b", "c"]


def test_whoever_leaves_and_comes_back_stands_there_once() -> None:
    line = standing("a", "b")
    for _ in range(3):
        assert line.leave("a")
        line.stand(Turn(NOON, NOON, "a"))
    assert line.first(9, anybody) == ["a", "b"]


def test_what_is_over_is_not_kept() -> None:
    line = standing("a")
    for number in range(1000):
        line.stand(Turn(NOON + MINUTE - number * SECOND, NOON, "b"))
        line.first(1, lambda name: name == "z")
    assert len(line._heap) == 2
