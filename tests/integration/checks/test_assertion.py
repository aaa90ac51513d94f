from collections.abc import Iterator

import psycopg
import pytest

from refresher.checks.asking import Asker
from refresher.checks.assertion import evaluate
from refresher.errors import FailureReason, RefreshError
from refresher.postgres.sessions import Connection
from tests.conftest import Database


@pytest.fixture
def connection(bare_database: Database) -> Iterator[Connection]:
    """In a transaction that has something to lose."""
    with bare_database.connect() as opened:
        opened.execute("CREATE TABLE t (id int)")
        opened.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO t VALUES (1), (2)")
        yield opened
        rows = opened.execute("SELECT count(*) AS rows FROM t").fetchall()
        still_open = opened.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
        opened.execute("ROLLBACK")
        assert rows == [{"rows": 2}]
        assert still_open
        assert opened.execute("SELECT FROM t").fetchall() == []


@pytest.mark.parametrize(
    ("assertion", "holds"),
    [
        ("SELECT count(*) = 2 FROM t", True),
        ("SELECT true WHERE EXISTS (SELECT FROM t)", True),
        ("SELECT count(*) > 2 FROM t -- too few", False),
        ("VALUES (false)", False),
        ("WITH n AS (SELECT count(*) AS n FROM t) SELECT n = 2 FROM n", True),
        ("SELECT id = 2 FROM t ORDER BY id DESC LIMIT 1", True),
        ("SELECT '100%' LIKE '%100\\%'", True),
    ],
)
def test_a_query_answers(connection: Connection, assertion: str, *, holds: bool) -> None:
    assert evaluate(Asker(connection=connection), assertion) is holds


@pytest.mark.parametrize(
    ("assertion", "problem"),
    [
        ("SELECT 1", "must return one row with one boolean"),
        ("SELECT 'true'", "must return one row with one boolean"),
        ("SELECT NULL::bool", "must return one row with one boolean"),
        ("SELECT true WHERE false", "must return one row with one boolean"),
        ("SELECT true FROM t", "more than one row returned"),
        ("SELECT true, true", "must return only one column"),
        ("SELECT 1/0 = 1", "division by zero"),
        ("SELECT missing FROM t", 'column "missing" does not exist'),
        ("SELECT true FROM missing", 'relation "missing" does not exist'),
        ("SELECT 'x'::int = 1", "invalid input syntax"),
        ("SELECT true) AS a, (SELECT true", "must return one row with one boolean"),
        ("SELECT true; SELECT true", "syntax error"),
        ("SELECT true); DELETE FROM t; SELECT (true", "multiple commands"),
        ("DELETE FROM t", "syntax error"),
        ("COMMIT", 'column "commit" does not exist'),
        ("ROLLBACK", 'column "rollback" does not exist'),
        ("", "syntax error"),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT true", "top level"),
        ("SELECT nextval('s') = 1", "read-only"),
        ("SELECT thrown()", "thrown by hand"),
        ("SELECT emptied()", "read-only"),
    ],
)
def test_whatever_is_no_answer_is_a_broken_check(
    bare_database: Database, connection: Connection, assertion: str, problem: str
) -> None:
    with bare_database.connect() as other:
        other.execute(
            "CREATE SEQUENCE s;"
            " CREATE FUNCTION thrown() RETURNS bool LANGUAGE plpgsql"
            " AS $$BEGIN RAISE EXCEPTION 'thrown by hand'; END$$;"
            " CREATE FUNCTION emptied() RETURNS bool LANGUAGE plpgsql"
            " AS $$BEGIN DELETE FROM t; RETURN true; END$$"
        )

    with pytest.raises(RefreshError, match=problem) as caught:
        evaluate(Asker(connection=connection), assertion)

    assert caught.value.reason is FailureReason.CHECK


def test_what_is_not_the_assertions_fault_is_no_broken_check(connection: Connection) -> None:
    connection.execute("SET LOCAL statement_timeout = '50ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        evaluate(Asker(connection=connection), "SELECT pg_sleep(10) IS NULL")


def test_a_wait_for_a_lock_is_no_broken_check(
    bare_database: Database, connection: Connection
) -> None:
    with bare_database.connect() as other:
        other.execute("CREATE TABLE held ()")
        with other.transaction():
            other.execute("LOCK TABLE held")
            connection.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                evaluate(Asker(connection=connection), "SELECT count(*) = 0 FROM held")


def test_the_store_is_no_users_table(bare_database: Database) -> None:
    with bare_database.connect() as connection:
        # As for a role called refresher, whose search_path begins with its own schema.
        connection.execute(
            "CREATE SCHEMA refresher; CREATE TABLE refresher.state AS SELECT false AS fine;"
            " CREATE TABLE public.state AS SELECT true AS fine"
        )
        with connection.transaction():
            connection.execute("SET LOCAL search_path = refresher, public")

            assert evaluate(Asker(connection=connection), "SELECT fine FROM state")

            row = connection.execute("SELECT fine FROM state").fetchone()
            assert row == {"fine": False}
