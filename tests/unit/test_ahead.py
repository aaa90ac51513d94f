from hypothesis import given
from hypothesis import strategies as st

from refresher.schedule.ahead import Ahead

SECONDS = st.floats(0, 3600)


def after(successes: int, seconds: float, workers: int = 4) -> Ahead:
    ahead = Ahead(workers)
    for _ in range(successes):
        ahead.succeeded(seconds)
    return ahead


def test_as_much_as_workers_are_through_with_in_a_tenth_of_a_second() -> None:
    assert after(200, 0.01).number == 4 * 10 - 4
    assert after(200, 0.05).number == 4 * 2 - 4


def test_it_grows_by_one_with_each_success() -> None:
    assert [after(successes, 0.0).number for successes in range(4)] == [0, 1, 2, 3]


def test_nothing_goes_before_what_is_more_urgent_where_refreshes_take_their_time() -> None:
    assert after(200, 0.1).number == 0
    ahead = after(200, 0.01)
    ahead.succeeded(60.0)
    assert ahead.number == 0


def test_where_slots_are_shared_it_begins_anew() -> None:
    ahead = after(200, 0.01)
    ahead.refused()
    assert ahead.number == 0
    ahead.succeeded(0.01)
    assert ahead.number == 1


@given(took=st.lists(SECONDS, max_size=50), workers=st.integers(1, 100))
def test_it_is_never_more_than_a_worker_does_in_a_tenth_of_a_second(
    took: list[float], workers: int
) -> None:
    ahead = Ahead(workers)
    for number, seconds in enumerate(took):
        ahead.succeeded(seconds)
        assert 0 <= ahead.number <= min(number + 1, workers * 100)
