from collections.abc import Collection
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.runs import Trigger
from refresher.schedule.attention import Attention, again_at
from refresher.schedule.decision import Decision, Due, Idle, Waiting
from tests.unit.builders import HOUR, MINUTE, NOON, SECOND

DUE = Due(Trigger.SCHEDULE, NOON, attempt=1, ready_at=NOON)


def names(number: int) -> list[str]:
    return [f"v{place:05}" for place in range(number)]


def at_rest(views: Collection[str], again: datetime | None = None) -> Attention:
    """Everybody was looked at, and need not be again before that moment."""
    attention = Attention()
    attention.follow(views)
    attention.looked(dict.fromkeys(views, again))
    return attention


@pytest.mark.parametrize(
    ("decision", "paused_until", "again"),
    [
        (DUE, None, NOON),
        (Waiting("running"), None, NOON),
        (Waiting("running", NOON + HOUR), None, NOON),
        (Waiting("waits for a"), None, None),
        (Waiting("retry", NOON + MINUTE), None, NOON + MINUTE),
        (Idle(NOON + HOUR), None, NOON + HOUR),
        (Idle(None), None, None),
        (Waiting("paused"), NOON + HOUR, NOON + HOUR),
        (Waiting("retry", NOON + MINUTE), NOON + HOUR, NOON + MINUTE),
        (Waiting("retry", NOON + HOUR), NOON + MINUTE, NOON + MINUTE),
    ],
)
def test_a_decision_holds_until_time_alone_may_change_it(
    decision: Decision, paused_until: datetime | None, again: datetime | None
) -> None:
    assert again_at(decision, NOON, paused_until=paused_until) == again


@given(number=st.integers(0, 400), looks=st.integers(1, 12))
def test_everyones_turn_comes_within_so_many_looks(number: int, looks: int) -> None:
    attention = Attention(looks=looks)
    attention.follow(names(number))
    attention.looked(dict.fromkeys(names(number)))
    seen = [attention.next(NOON) for _ in range(looks)]
    assert set().union(*seen) == set(names(number))
    assert all(len(each) <= max(50, number // looks + 1) for each in seen)


def test_a_few_views_are_all_looked_at_each_time() -> None:
    attention = at_rest(names(50))
    assert attention.next(NOON) == attention.next(NOON) == set(names(50))


def test_a_view_is_looked_at_once_its_moment_has_come() -> None:
    attention = at_rest(names(1000))
    attention.looked({"v00500": NOON})
    assert "v00500" not in attention.next(NOON - SECOND)
    assert "v00500" in attention.next(NOON)
    assert "v00500" in attention.next(NOON + HOUR), "nobody has looked yet"
    attention.looked({"v00500": None})
    assert "v00500" not in attention.next(NOON + HOUR)


def test_views_that_come_into_the_configuration_are_looked_at_and_others_are_not() -> None:
    attention = at_rest(names(1000))
    attention.follow([*names(1000)[:-1], "new"])
    seen = attention.next(NOON)
    assert "new" in seen
    attention.looked(dict.fromkeys(["new", "v00999"]))
    seen = set().union(*(attention.next(NOON) for _ in range(30)))
    assert seen == {*names(1000)[:-1], "new"}


def test_views_that_are_always_due_take_turns() -> None:
    views = names(1000)
    attention = at_rest(views, NOON)
    seen: set[str] = set()
    for look in range(8):
        now = NOON + look * SECOND
        found = attention.next(now)
        assert len(found) <= 250
        attention.looked(dict.fromkeys(found, now))
        seen |= found
    assert seen == set(views)


def test_fewer_views_than_before_have_their_turns_from_the_beginning() -> None:
    attention = at_rest(names(3000))
    for _ in range(20):
        attention.next(NOON)
    attention.follow(names(60))
    assert attention.next(NOON) | attention.next(NOON) == set(names(60))
