"""A query that reads what it is to write is found out, whichever way it goes."""

from typing import Any

import pytest
from psycopg import sql

from refresher.catalog.read_back import FilledColumn, columns_read_back
from refresher.postgres.sessions import Connection


@pytest.fixture
def tables(database: Any) -> Any:
    with database.connect() as connection:
        connection.execute("CREATE TABLE f (id int PRIMARY KEY, v int, u int, w int)")
        connection.execute("CREATE TABLE g (id int PRIMARY KEY, x int, y int)")
        yield connection


def oid(connection: Connection, name: str) -> int:
    row = connection.execute("SELECT %s::regclass::oid AS oid", [name]).fetchone()
    assert row is not None
    return int(row["oid"])


def view(connection: Connection, name: str, query: str) -> int:
    made = sql.SQL("CREATE VIEW {} AS {}").format(sql.Identifier(name), sql.SQL(query))
    connection.execute(made)
    return oid(connection, name)


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("SELECT id, w AS v FROM f", ()),
        ("SELECT id, count(*) AS v FROM f GROUP BY id", ()),
        ("SELECT id, v + 1 AS v FROM f", ("v",)),
        ("SELECT id, 1 AS v FROM f WHERE u > 0", ("u",)),
        ("SELECT g.id, g.x AS v FROM g WHERE EXISTS (SELECT FROM f WHERE f.v = g.x)", ("v",)),
        ("SELECT s.id FROM (SELECT * FROM f) AS s", ("v", "u")),
        ("SELECT id, row_to_json(f)::text AS v FROM f", ("v", "u")),
        ("SELECT id, count(f) AS v FROM f GROUP BY id", ("v", "u")),
        ("SELECT id, row_to_json(g)::text AS v FROM g", ()),
    ],
)
def test_what_a_query_reads_itself(tables: Connection, query: str, read: tuple[str, ...]) -> None:
    made = view(tables, "q", query)
    assert columns_read_back(tables, made, oid(tables, "f"), ("v", "u")) == read


@pytest.mark.parametrize(
    ("between", "read"),
    [
        ("SELECT id, w FROM f", ()),
        ("SELECT id, u AS w FROM f", ("u",)),
        ("SELECT id, length(f::text) AS w FROM f", ("v", "u")),
    ],
)
def test_what_it_reads_through_plain_views(
    tables: Connection, between: str, read: tuple[str, ...]
) -> None:
    view(tables, "a", between)
    view(tables, "b", "SELECT * FROM a")
    made = view(tables, "q", "SELECT id, w AS v FROM b")
    assert columns_read_back(tables, made, oid(tables, "f"), ("v", "u")) == read


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("SELECT id, x AS v FROM g", ("v",)),
        ("SELECT id, y AS v FROM g", ()),
        ("SELECT id, length(g::text) AS v FROM g", ("v",)),
    ],
)
def test_what_it_reads_through_columns_that_others_fill(
    tables: Connection, query: str, read: tuple[str, ...]
) -> None:
    other = view(tables, "other", "SELECT id, v AS x FROM f")
    made = view(tables, "q", query)
    filled = [FilledColumn(oid(tables, "g"), "x", other)]
    assert columns_read_back(tables, made, oid(tables, "f"), ("v", "u"), filled=filled) == read


def test_two_that_read_each_other_come_to_an_end(tables: Connection) -> None:
    other = view(tables, "other", "SELECT id, v AS x FROM f")
    made = view(tables, "q", "SELECT id, x AS v FROM g")
    filled = [FilledColumn(oid(tables, "g"), "x", other), FilledColumn(oid(tables, "f"), "v", made)]
    assert columns_read_back(tables, made, oid(tables, "f"), ("v",), filled=filled) == ("v",)


def test_a_temporary_view_tells_it_before_anything_is_made(tables: Connection) -> None:
    tables.execute("CREATE TEMPORARY VIEW twin AS SELECT id, v FROM f")
    twin = oid(tables, "pg_temp.twin")
    assert columns_read_back(tables, twin, oid(tables, "f"), ("v",)) == ("v",)
