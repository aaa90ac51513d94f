"""Cron expressions, and the least time between two due instants."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from refresher.config.crontab import check_cron, shortest_gap


@pytest.mark.parametrize(
    "cron",
    ["* * * * *", "*/15 8-18 * * 1-5", "0 3 1,15 JAN-MAR MON", "0 0 L * *", "0 0 29 2 *",
     "0 0 * * 5#3", "  0  3 * * *  ", "0 0 * * 7"],
)  # fmt: skip
def test_expressions_of_five_fields(cron: str) -> None:
    assert check_cron(cron) == cron


@pytest.mark.parametrize(
    "cron",
    ["", "*", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *",
     "* * * 13 *", "* * * * 8", "a * * * *", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *",
     "* * * * 1#6", "0 0 30 2 *", "-1 * * * *", f"{'9' * 5000} * * * *", "\u0661 * * * *",
     f"*/{'9' * 5000} * * * *", "* * * * ²L", "0 0 * * 1#1/2", "1/1/1 * * * *"],
)  # fmt: skip
def test_what_is_no_expression(cron: str) -> None:
    with pytest.raises(ValueError, match=r"; |five fields"):
        check_cron(cron)


@given(st.text(st.sampled_from("0123456789*/,-#LW ٣abcMON"), max_size=30))
def test_any_text_is_an_expression_or_a_value_error(text: str) -> None:
    try:
        cron = check_cron(text)
    except ValueError:
        return
    assert cron == text
    assert shortest_gap(cron) >= timedelta(minutes=1)


@pytest.mark.parametrize(
    ("cron", "minutes"),
    [
        ("* * * * *", 1),
        ("*/15 * * * *", 15),
        ("*/40 * * * *", 20),
        ("0 * * * *", 60),
        ("0 3 * * *", 24 * 60),
        ("0 3,5 * * *", 2 * 60),
        ("0 1,23 * * *", 2 * 60),
        ("30 22 1 1 *", 24 * 60),
    ],
)
def test_shortest_gaps(cron: str, minutes: int) -> None:
    assert shortest_gap(cron) == timedelta(minutes=minutes)


@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=4),
    st.sets(st.integers(0, 23), min_size=1, max_size=4),
    st.sampled_from(["*", "1", "1,2", "31", "L"]),
    st.sampled_from(["*", "MON", "1-5"]),
)
def test_no_gap_is_shorter(minutes: set[int], hours: set[int], days: str, weekdays: str) -> None:
    cron = f"{_list(minutes)} {_list(hours)} {days} * {weekdays}"
    instants = islice(CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)), 200)
    assert shortest_gap(cron) <= min(later - earlier for earlier, later in pairwise(instants))


def _list(numbers: set[int]) -> str:
    return ",".join(str(number) for number in sorted(numbers))
