import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refresher.names import (
    NAME_BYTES,
    RelationName,
    check_name,
    fitted_name,
    quoted,
    stable_number,
)

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
fitting = names.filter(lambda name: len(name.encode()) <= NAME_BYTES)


@given(fitting)
def test_a_name_that_fits_is_accepted_as_it_is(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "empty"),
        ("a\0b", "NUL"),
        ("x" * 64, "64 bytes"),
        ("é" * 32, "64 bytes"),
        ("\ud800", "Unicode"),
    ],
)
def test_a_name_postgresql_would_change_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_name(name)


@given(fitting, fitting)
@example("public", "user")
@example("A", 'with "quotes" and . dots')
def test_a_relation_reads_back_what_it_prints(schema: str, name: str) -> None:
    relation = RelationName(schema, name)
    assert RelationName.parse(str(relation)) == relation


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("orders", RelationName("public", "orders")),
        ("Sales.Orders", RelationName("sales", "orders")),
        ('"Sales".orders', RelationName("Sales", "orders")),
        ('sales."a.b"', RelationName("sales", "a.b")),
        ('"a""b"', RelationName("public", 'a"b')),
        ("ÉTÉ.a$1", RelationName("ÉtÉ", "a$1")),
        ("order", RelationName("public", "order")),
    ],
)
def test_a_relation_is_read_as_postgresql_reads_it(text: str, relation: RelationName) -> None:
    assert RelationName.parse(text) == relation


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a.b.c",
        "a b",
        " a",
        "a-b",
        "1a",
        "a;DROP TABLE b",
        'a"b"',
        '"a"b',
        '"a',
        '""',
        '"a".',
        '"a\0b"',
    ],
)
def test_what_is_not_a_relation_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"relation|quote|empty|NUL"):
        RelationName.parse(text)


@given(st.text(max_size=20))
def test_any_text_is_a_relation_or_a_clear_refusal(text: str) -> None:
    try:
        relation = RelationName.parse(text)
    except ValueError:
        return
    assert RelationName.parse(str(relation)) == relation


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("orders", "orders"),
        ("_x9", "_x9"),
        ("user", '"user"'),
        ("coalesce", '"coalesce"'),
        ("Orders", '"Orders"'),
        ("9x", '"9x"'),
        ('a"b', '"a""b"'),
        ("é", '"é"'),
    ],
)
def test_a_name_is_quoted_where_postgresql_needs_it(name: str, printed: str) -> None:
    assert quoted(name) == printed


@given(st.lists(fitting, min_size=1, max_size=3), st.sampled_from(["idx", "key", "refresher_new"]))
def test_a_fitted_name_fits_and_tells_its_suffix(parts: list[str], suffix: str) -> None:
    name = fitted_name(*parts, suffix=suffix)
    assert check_name(name) == name
    assert name.endswith(f"_{suffix}")


def test_long_names_that_differ_late_stay_different() -> None:
    assert fitted_name("x" * 70 + "a", suffix="idx") != fitted_name("x" * 70 + "b", suffix="idx")


def test_another_process_makes_the_same_number() -> None:
    code = "from refresher.names import stable_number; print(stable_number('v', '1'))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert int(printed.stdout) == stable_number("v", "1")


def test_parts_are_kept_apart() -> None:
    assert stable_number("ab", "c") != stable_number("a", "bc")
