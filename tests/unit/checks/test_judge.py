from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.checks.judge import Broken, judge_rows
from refresher.config.model import Checks


def test_without_checks_anything_goes() -> None:
    assert judge_rows(Checks(), rows=0, previous_rows=1_000_000) is None


@pytest.mark.parametrize("rows", [15_000, 15_001])
def test_enough_rows_are_enough(rows: int) -> None:
    assert judge_rows(Checks(min_rows=15_000), rows=rows, previous_rows=None) is None


def test_too_few_rows_are_told_in_numbers() -> None:
    broken = judge_rows(Checks(min_rows=15_000), rows=14_999, previous_rows=None)

    assert broken == Broken("min_rows", "14,999 rows, fewer than min_rows 15,000")


def test_too_many_lost_rows_are_told_in_numbers() -> None:
    broken = judge_rows(Checks(max_shrink=0.2), rows=7_500, previous_rows=10_000)

    assert broken == Broken(
        "max_shrink", "7,500 rows after 10,000: 25.0% fewer, more than max_shrink 20.0%"
    )


@pytest.mark.parametrize("previous_rows", [None, 0])
def test_where_nothing_was_nothing_is_lost(previous_rows: int | None) -> None:
    assert judge_rows(Checks(max_shrink=0.0), rows=0, previous_rows=previous_rows) is None


def test_growth_is_no_loss() -> None:
    assert judge_rows(Checks(max_shrink=0.0), rows=11, previous_rows=10) is None


def test_of_two_broken_checks_the_plainer_is_told() -> None:
    broken = judge_rows(Checks(min_rows=1, max_shrink=0.5), rows=0, previous_rows=10)

    assert broken is not None
    assert broken.check == "min_rows"


@given(st.integers(1, 10_000_000), st.integers(0, 10_000_000), st.integers(0, 100))
def test_the_share_is_judged_exactly(previous: int, rows: int, percent: int) -> None:
    lost = Fraction(previous - rows, previous)

    broken = judge_rows(Checks(max_shrink=percent / 100), rows=rows, previous_rows=previous)

    assert (broken is not None) == (lost > Fraction(percent, 100))
