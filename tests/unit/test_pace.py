"""How long writing rests between two batches."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from refresher.refresh.columns.pace import LONG, MOST_ROWS, next_rows, rest

TOOK = st.timedeltas(min_value=timedelta(), max_value=timedelta(minutes=15))


@given(TOOK, st.integers(0, 500))
def test_others_have_half_of_the_time(took: timedelta, rows: int) -> None:
    assert rest(took, rows, None) == took


@given(TOOK, st.integers(0, 500), st.integers(1, 1_000_000))
def test_no_more_rows_a_second_than_asked_for(took: timedelta, rows: int, most: int) -> None:
    rested = rest(took, rows, most)
    assert rested >= took
    # A timedelta has whole microseconds.
    assert rows <= most * (took + rested + timedelta(microseconds=1)).total_seconds()


@given(TOOK, st.integers(1, MOST_ROWS))
def test_a_batch_that_took_long_is_followed_by_a_smaller_one(took: timedelta, rows: int) -> None:
    following = next_rows(rows, took)
    assert 1 <= following <= MOST_ROWS
    if took >= LONG:
        assert following < rows or rows == 1
    else:
        assert following >= rows
