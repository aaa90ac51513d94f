from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.checks.judge import (
    Broken,
    judge_columns,
    judge_nulls,
    judge_repeats,
    judge_rows,
)
from refresher.config.model import Checks, Column


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


NAMES = st.sampled_from(["id", "name", "Total", "order", "a b", "é"])
WANTED = st.lists(NAMES, min_size=1, unique=True)


def _columns(*names: str) -> tuple[Column, ...]:
    return tuple(map(Column, names))


def _of_type(type_: str, *names: str) -> list[tuple[str, str]]:
    return [(name, type_) for name in names]


def _told(checks: Checks, columns: list[tuple[str, str]], **types: str | None) -> list[str]:
    return [str(broken) for broken in judge_columns(checks, columns, types)]


def test_columns_may_be_more_and_in_another_order() -> None:
    checks = Checks(columns=_columns("id", "name"))

    assert not _told(checks, _of_type("text", "name", "source", "id"))


def test_missing_columns_are_named_and_counted() -> None:
    checks = Checks(columns=_columns("id", "name", "Source", "order"))

    assert _told(checks, _of_type("text", "name", "source")) == [
        'check columns: 3 of 4 are missing: id, "Source", "order"'
    ]


def test_very_many_missing_columns_are_not_all_named() -> None:
    checks = Checks(columns=_columns(*(f"c{number}" for number in range(1600))))

    (told,) = _told(checks, [])

    assert "1,600 of 1,600 are missing: c0, c1, " in told
    assert told.endswith("c49, and 1,550 more")


def test_a_type_is_compared_as_postgresql_spells_it() -> None:
    checks = Checks(
        columns=(Column("id", "int"), Column("total", "numeric"), Column("mood", "mod"))
    )
    columns = [("id", "integer"), ("total", "numeric(12,2)"), ("mood", "public.mood")]

    assert _told(checks, columns, int="integer", numeric="numeric", mod=None) == [
        "check columns: total is numeric(12,2), not numeric; mood: PostgreSQL knows no type 'mod'"
    ]


def test_a_missing_column_has_no_wrong_type() -> None:
    checks = Checks(columns=(Column("id", "int"),))

    assert _told(checks, [], int="integer") == ["check columns: 1 of 1 are missing: id"]


def test_exact_columns_are_no_others() -> None:
    checks = Checks(columns=_columns("id", "name"), exact_columns=True)

    assert not _told(checks, _of_type("text", "id", "name"))
    assert _told(checks, _of_type("text", "id", "name", "Source")) == [
        'check columns: 1 should not be there: "Source"'
    ]


def test_exact_columns_are_in_their_order() -> None:
    checks = Checks(columns=_columns("id", "name", "source"), exact_columns=True)

    assert _told(checks, _of_type("text", "id", "source", "name")) == [
        "check columns: number 2 is source, not name"
    ]


def test_an_order_is_told_beside_what_is_missing() -> None:
    checks = Checks(columns=_columns("id", "name", "source"), exact_columns=True)

    assert _told(checks, _of_type("text", "source", "id")) == [
        "check columns: 1 of 3 are missing: name; number 1 is source, not id"
    ]


def test_what_other_checks_read_must_be_there() -> None:
    checks = Checks(not_null=("id", "a"), unique=(("a", "id"), ("b", "a")))

    assert _told(checks, _of_type("text", "id")) == [
        "check not_null: it reads a, which is missing",
        "check unique: it reads a, b, which are missing",
    ]


@given(WANTED, st.lists(NAMES, unique=True))
def test_columns_are_demanded_and_exactly_so_if_asked(wanted: list[str], found: list[str]) -> None:
    columns = _of_type("text", *found)
    some = Checks(columns=_columns(*wanted))
    exactly = Checks(columns=_columns(*wanted), exact_columns=True)

    assert bool(judge_columns(some, columns, {})) == (not set(wanted) <= set(found))
    assert bool(judge_columns(exactly, columns, {})) == (wanted != found)


@given(WANTED, st.data())
def test_every_missing_column_is_named(wanted: list[str], data: st.DataObject) -> None:
    lost = data.draw(st.sets(st.sampled_from(wanted), min_size=1))
    left = _of_type("text", *(name for name in wanted if name not in lost))

    (broken,) = judge_columns(Checks(columns=_columns(*wanted)), left, {})

    assert broken.message.startswith(f"{len(lost)} of {len(wanted)} are missing: ")
    named = broken.message.partition(": ")[2].split(", ")
    assert [name.strip('"') for name in named] == [name for name in wanted if name in lost]


def test_nulls_are_counted_by_column() -> None:
    assert judge_nulls(rows=10, nulls={"id": 0, "name": 0}) is None
    assert judge_nulls(rows=15_549, nulls={"id": 0, "Mail": 1_200, "name": 1}) == Broken(
        "not_null", '"Mail" is null in 1,200 of 15,549 rows; name is null in 1 of 15,549 rows'
    )


def test_repeats_are_counted_by_key() -> None:
    assert judge_repeats({("id",): (0, 0)}) is None
    assert judge_repeats({("id",): (1, 3), ("a", "B"): (1_000, 2_500), ("c",): (0, 0)}) == Broken(
        "unique", 'repeated: 1 value of (id) in 3 rows; 1,000 values of (a, "B") in 2,500 rows'
    )


def test_a_view_knows_the_names_of_its_checks() -> None:
    assert Checks().names == ()
    assert Checks(min_rows=0, max_shrink=0.0, assertion="SELECT true").names == (
        *("min_rows", "max_shrink", "assert"),
    )
    every = Checks(columns=_columns("a"), not_null=("a",), unique=(("a",),))
    assert every.names == ("columns", "not_null", "unique")
