from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from refresher.postgres.messages import ask_together
from refresher.postgres.sessions import Connection
from tests.conftest import Database

STATEMENTS = (
    sql.SQL("SELECT %(name)s::text AS name, %(number)s + 1 AS number"),
    sql.SQL("SELECT n FROM generate_series(1, %(number)s) AS n WHERE n > 2"),
    sql.SQL("SELECT %(names)s::text[] AS names, %(at)s AS at, %(json)s -> 'a' AS json"),
)
AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
HOSTILE = "'; DROP TABLE x; -- \\' $$ %(name)s ü"
PARAMETERS = {
    "name": HOSTILE,
    "number": 4,
    "names": [HOSTILE, "b"],
    "at": AT,
    "json": Jsonb({"a": HOSTILE}),
}


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as connection:
        yield connection


@pytest.fixture(params=["prepared", "one message"])
def road(request: pytest.FixtureRequest, connection: Connection) -> Connection:
    """A connection with nothing in between, and as it is behind a pooler."""
    if request.param == "one message":
        connection.prepare_threshold = None
    return connection


def test_each_statement_answers(road: Connection) -> None:
    assert ask_together(road, STATEMENTS, PARAMETERS) == [
        [{"name": HOSTILE, "number": 5}],
        [{"n": 3}, {"n": 4}],
        [{"names": [HOSTILE, "b"], "at": AT, "json": HOSTILE}],
    ]


def test_a_statement_without_columns_answers_too(road: Connection) -> None:
    assert ask_together(road, (sql.SQL("SELECT"), STATEMENTS[1]), {"number": 3}) == [
        [{}],
        [{"n": 3}],
    ]


def test_nothing_runs_after_a_failure(road: Connection) -> None:
    road.execute("CREATE TEMP TABLE told (number int)")
    fails = sql.SQL("SELECT 1 / (%(number)s - %(number)s)")
    tells = sql.SQL("INSERT INTO told VALUES (%(number)s) RETURNING number")

    with pytest.raises(psycopg.errors.DivisionByZero):
        ask_together(road, (fails, tells), PARAMETERS)

    assert road.execute("SELECT FROM told").fetchall() == []


def test_only_where_nothing_is_in_between_statements_are_prepared(connection: Connection) -> None:
    assert prepared(connection, STATEMENTS) == len(STATEMENTS)
    # Of numbers of whatever size there is one plan.
    ask_together(connection, STATEMENTS[:1], {"number": 2**40, "name": ""})
    assert prepared(connection, STATEMENTS) == len(STATEMENTS)

    connection.execute("DEALLOCATE ALL")
    connection.prepare_threshold = None
    assert prepared(connection, STATEMENTS) == 0


def prepared(connection: Connection, statements: Sequence[sql.SQL]) -> int:
    ask_together(connection, statements, PARAMETERS)
    row: dict[str, Any] | None = connection.execute(
        "SELECT count(*) AS count FROM pg_prepared_statements"
    ).fetchone()
    assert row is not None
    return int(row["count"])
