import re
from pathlib import Path

import pytest
from psycopg import sql

import refresher
from refresher.postgres.queries import load_queries, parse_queries

PACKAGE = Path(refresher.__file__).parent
FILES = sorted(
    path
    for path in PACKAGE.rglob("*.sql")
    if re.search("^-- name: ", path.read_text(), re.MULTILINE)
)

TEXT = """\
-- Why the file is there.

-- name: first
-- description: One.
-- A comment that stays.
SELECT 1

-- name: second
-- description: Two, for anybody.
SELECT 2

-- name: second
-- description: Two, for newer servers.
-- from: 17
SELECT 2, 17
"""


def text_of(query: sql.SQL) -> str:
    return query.as_string()


def test_queries_are_found_by_name() -> None:
    queries = parse_queries(TEXT)

    assert queries.names() == {"first", "second"}
    assert text_of(queries["first"]) == "-- A comment that stays.\nSELECT 1"


@pytest.mark.parametrize(
    ("major", "text"),
    [(14, "SELECT 2"), (16, "SELECT 2"), (17, "SELECT 2, 17"), (18, "SELECT 2, 17")],
)
def test_the_newest_text_a_server_can_run_is_chosen(major: int, text: str) -> None:
    assert text_of(parse_queries(TEXT).on("second", major)) == text


def test_a_query_that_differs_between_majors_is_asked_for_with_one() -> None:
    queries = parse_queries(TEXT)

    with pytest.raises(KeyError, match="differs between majors"):
        queries["second"]
    assert text_of(queries.on("first", 14)) == text_of(queries["first"])


def test_a_query_only_newer_servers_can_run_is_refused_to_older_ones() -> None:
    queries = parse_queries("-- name: new\n-- description: New.\n-- from: 17\nSELECT 1")

    with pytest.raises(KeyError, match="no text for PostgreSQL 16"):
        queries.on("new", 16)
    with pytest.raises(KeyError, match="differs between majors"):
        queries["new"]


def test_a_name_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="third"):
        parse_queries(TEXT)["third"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- name: a\nSELECT 1", "needs a description"),
        ("-- name: a\n-- description: Nothing to run.\n", "needs a description and a text"),
        (
            "-- name: a\n-- description: x\nSELECT 1\n-- name: a\n-- description: x\nSELECT 2",
            "twice",
        ),
    ],
)
def test_a_malformed_file_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_queries(text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_query_that_ships_is_used(path: Path) -> None:
    package = ".".join(path.parent.relative_to(PACKAGE.parent).parts)
    source = "\n".join(module.read_text() for module in PACKAGE.rglob("*.py"))

    names = load_queries(package, path.name).names()

    assert names
    assert [name for name in sorted(names) if f'"{name}"' not in source] == []
