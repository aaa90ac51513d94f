from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from refresher.checks.due import due_in
from tests.unit.builders import HOUR, MINUTE, NOON

AGES = st.timedeltas(timedelta(), timedelta(days=2))


def test_what_was_never_judged_is_due() -> None:
    assert due_in(HOUR, None, now=NOON, since=NOON - HOUR) == timedelta()


def test_what_was_judged_is_due_after_a_while() -> None:
    assert due_in(HOUR, NOON - 20 * MINUTE, now=NOON, since=NOON - HOUR) == 40 * MINUTE
    assert due_in(HOUR, NOON - 2 * HOUR, now=NOON, since=NOON - 3 * HOUR) == timedelta()


def test_what_was_judged_before_a_change_is_due() -> None:
    assert due_in(HOUR, NOON - 20 * MINUTE, now=NOON, since=NOON - 10 * MINUTE) == timedelta()


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=1)), AGES, AGES)
def test_after_so_long_it_is_due_and_not_before(
    every: timedelta, age: timedelta, known_for: timedelta
) -> None:
    judged, since = NOON - age, NOON - known_for

    wait = due_in(every, judged, now=NOON, since=since)

    assert timedelta() <= wait <= every
    assert (wait == timedelta()) == (judged < since or age >= every)
    if wait:
        assert due_in(every, judged, now=NOON + wait, since=since) == timedelta()
