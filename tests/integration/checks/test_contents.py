from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from refresher.checks.contents import ChecksBrokenError, check_contents, judge
from refresher.config.model import Checks, Column, Kind
from refresher.errors import CatalogError, FailureReason
from refresher.names import RelationName
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.unit import builders

PEOPLE = """
CREATE TABLE people (id int, name text, mail text);
INSERT INTO people VALUES
    (1, 'ann', 'ann@example.com'), (2, 'bob', NULL), (3, 'ann', 'ann@example.com'), (3, NULL, NULL);
CREATE VIEW v AS SELECT * FROM people;
CREATE MATERIALIZED VIEW m AS SELECT * FROM people
"""


@pytest.fixture
def connection(bare_database: Database) -> Iterator[Connection]:
    """In a transaction that goes on after whatever is asked."""
    with bare_database.connect() as opened:
        opened.execute(PEOPLE)
        opened.execute("BEGIN")
        yield opened
        assert opened.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
        opened.execute("ROLLBACK")


def broken(connection: Connection, **checks: Any) -> list[str]:
    """What is broken of the plain view, which has the same rows as the materialized one."""
    plain = builders.view("v", kind=Kind.VIEW, checks=Checks(**checks))
    return list(map(str, judge(connection, plain, plain.relation)))


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ({}, []),
        ({"min_rows": 4}, []),
        ({"min_rows": 5}, ["check min_rows: 4 rows, fewer than min_rows 5"]),
        ({"not_null": ("id",)}, []),
        (
            {"not_null": ("mail", "id", "name")},
            [
                "check not_null: mail is null in 2 of 4 rows; name is null in 1 of 4 rows",
            ],
        ),
        ({"unique": (("id", "name"),)}, []),
        (
            {"unique": (("id",), ("name", "mail"), ("id", "mail"))},
            [
                (
                    "check unique: repeated: 1 value of (id) in 2 rows;"
                    " 1 value of (name, mail) in 2 rows"
                )
            ],
        ),
        ({"assertion": "SELECT count(*) = 4 FROM v"}, []),
        ({"assertion": "SELECT false"}, ["check assert: it returned false"]),
        (
            {"assertion": "SELECT 1"},
            ["check assert: the assertion must return one row with one boolean"],
        ),
        ({"columns": (Column("id", "int"), Column("mail"))}, []),
    ],
)
def test_a_plain_view_is_read(
    connection: Connection, checks: dict[str, Any], told: list[str]
) -> None:
    assert broken(connection, **checks) == told


def test_all_that_is_broken_is_told_at_once(connection: Connection) -> None:
    assert broken(
        connection,
        columns=(Column("id"), Column("source")),
        min_rows=9,
        not_null=("mail", "source"),
        unique=(("id",),),
        assertion="SELECT source FROM v",
    ) == [
        "check columns: 1 of 2 are missing: source",
        "check not_null: it reads source, which is missing",
        "check min_rows: 4 rows, fewer than min_rows 9",
        "check unique: repeated: 1 value of (id) in 2 rows",
        'check assert: it can\'t be judged: column "source" does not exist',
    ]


def test_no_message_has_a_value_of_a_row(connection: Connection) -> None:
    told = broken(connection, not_null=("mail", "name"), unique=(("name", "mail"), ("mail",)))
    assert "ann" not in "".join(told)


def test_names_are_only_names(connection: Connection) -> None:
    connection.execute(
        'CREATE VIEW public."50% ""off""" AS SELECT 1 AS "a%s", NULL::int AS "; DROP TABLE people"'
    )
    view = builders.view(
        "odd",
        kind=Kind.VIEW,
        relation=RelationName("public", '50% "off"'),
        checks=Checks(not_null=("a%s", "; DROP TABLE people"), unique=(("a%s",),), min_rows=1),
    )

    assert list(map(str, judge(connection, view, view.relation))) == [
        'check not_null: "; DROP TABLE people" is null in 1 of 1 rows'
    ]


def test_rows_of_nulls_are_no_null(connection: Connection) -> None:
    connection.execute(
        "CREATE TYPE pair AS (a int, b int); CREATE VIEW w AS SELECT ROW(NULL, NULL)::pair AS pair"
    )
    view = builders.view("w", kind=Kind.VIEW, checks=Checks(not_null=("pair",)))

    assert judge(connection, view, view.relation) == ()


def test_what_has_no_equality_can_not_be_unique(connection: Connection) -> None:
    connection.execute("CREATE VIEW w AS SELECT '{}'::json AS document")
    view = builders.view("w", kind=Kind.VIEW, checks=Checks(unique=(("document",),), min_rows=2))

    (rows, unique) = judge(connection, view, view.relation)

    assert rows.check == "min_rows"
    assert unique.message.startswith("it can't be judged: could not identify an equality operator")


def test_a_view_that_fails_is_broken_and_writes_nothing(connection: Connection) -> None:
    connection.execute(
        "CREATE FUNCTION emptied() RETURNS int LANGUAGE plpgsql"
        " AS $$BEGIN DELETE FROM people; RETURN 1; END$$;"
        " CREATE VIEW w AS SELECT emptied() AS id"
    )
    view = builders.view("w", kind=Kind.VIEW, checks=Checks(not_null=("id",)))

    (found,) = judge(connection, view, view.relation)

    assert "read-only" in found.message
    assert connection.execute("SELECT count(*) AS n FROM people").fetchone() == {"n": 4}


def test_a_plain_view_that_takes_too_long_is_broken(connection: Connection) -> None:
    connection.execute("CREATE VIEW slow AS SELECT pg_sleep(10)::text AS nap")
    connection.execute("SET LOCAL statement_timeout = '50ms'")
    checks = Checks(columns=(Column("nap"),), not_null=("nap",))
    view = builders.view("slow", kind=Kind.VIEW, checks=checks)

    assert list(map(str, judge(connection, view, view.relation))) == [
        "check not_null: it can't be judged: canceling statement due to statement timeout"
    ]


def test_a_refresh_that_takes_too_long_broke_no_check(connection: Connection) -> None:
    connection.execute("SET LOCAL statement_timeout = '50ms'")
    view = builders.view("m", checks=Checks(assertion="SELECT pg_sleep(10) IS NULL"))

    with pytest.raises(psycopg.errors.QueryCanceled):
        check_contents(connection, view, view.relation, rows=4, previous_rows=None)


def test_a_lock_says_nothing_of_the_view(bare_database: Database, connection: Connection) -> None:
    connection.execute("COMMIT; BEGIN; SET LOCAL lock_timeout = '50ms'")
    with bare_database.connect() as other, other.transaction():
        other.execute("LOCK TABLE people")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            broken(connection, min_rows=1)


def test_a_relation_of_another_kind_can_not_be_judged(connection: Connection) -> None:
    for name in ("people", "m", "missing"):
        view = builders.view(name, kind=Kind.VIEW, checks=Checks(min_rows=1))
        with pytest.raises(CatalogError, match=f"public.{name} does not exist"):
            judge(connection, view, view.relation)


def test_new_contents_are_refused_with_everything_they_break(connection: Connection) -> None:
    view = builders.view("m", checks=Checks(max_shrink=0.1, not_null=("mail",), min_rows=4))

    with pytest.raises(ChecksBrokenError) as caught:
        check_contents(connection, view, view.relation, rows=4, previous_rows=8)

    assert caught.value.reason is FailureReason.CHECK
    assert [each.check for each in caught.value.broken] == ["max_shrink", "not_null"]
    assert str(caught.value) == (
        "check max_shrink: 4 rows after 8: 50.0% fewer, more than max_shrink 10.0%;"
        " check not_null: mail is null in 2 of 4 rows; the old contents stay"
    )


def test_contents_under_another_name_are_judged_as_the_views(connection: Connection) -> None:
    connection.execute("CREATE MATERIALIZED VIEW m_beside AS SELECT id FROM people LIMIT 1")
    assertion = (
        "SELECT count(*) = 1 AND bool_and(source.id = m.id) FROM m JOIN m AS source USING (id)"
    )
    beside = RelationName("public", "m_beside")
    checks = Checks(columns=(Column("id"),), exact_columns=True, unique=(("id",),))
    good = builders.view("m", checks=Checks(assertion=assertion, min_rows=1))
    exact = builders.view("m", checks=checks)

    check_contents(connection, good, beside, rows=1, previous_rows=None)
    check_contents(connection, exact, beside, rows=1, previous_rows=None)
    with pytest.raises(ChecksBrokenError, match="check columns: 2 should not be there: name, mail"):
        check_contents(connection, exact, exact.relation, rows=4, previous_rows=None)
    assert connection.execute("SELECT count(*) AS n FROM m").fetchone() == {"n": 4}
