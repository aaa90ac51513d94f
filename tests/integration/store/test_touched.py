from collections.abc import Callable
from datetime import timedelta

import pytest
from psycopg import sql

from refresher.config.model import View
from refresher.postgres.sessions import Connection
from refresher.store.control import pause, request, resume
from refresher.store.drift import record_drift
from refresher.store.touched import Touched, read_outline
from refresher.store.verdicts import record_verdicts
from tests.conftest import Database
from tests.integration.store.conftest import make_known, make_view, open_run


@pytest.fixture
def views(connection: Connection) -> dict[str, View]:
    for name in ("a", "b"):
        connection.execute(f"CREATE MATERIALIZED VIEW {name} AS SELECT 1 AS id")
    return make_known(connection, "a", "b")


@pytest.fixture
def asked(connection: Connection, views: dict[str, View]) -> Callable[[], frozenset[str]]:
    """Asks what happened; all that stood before is known."""
    touched = Touched()
    touched.ask(connection, views)
    return lambda: touched.ask(connection, views).views


Asked = Callable[[], frozenset[str]]


def test_the_first_answer_names_every_view(connection: Connection, views: dict[str, View]) -> None:
    touched = Touched()
    assert touched.ask(connection, views).views == {"a", "b"}
    assert touched.ask(connection, views).views == set()


def test_all_views_are_told_when_another_server_answers(
    connection: Connection, asked: Asked, make_role: Callable[..., str]
) -> None:
    role = sql.Identifier(make_role("owner"))
    assert asked() == set()
    with connection.transaction(force_rollback=True):
        # One that does not tell who it is tells as much by that.
        for statement in (
            "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
            "GRANT CREATE ON SCHEMA refresher TO {}",
            "ALTER FUNCTION refresher.lineage() OWNER TO {}",
        ):
            connection.execute(sql.SQL(statement).format(role))
        assert asked() == {"a", "b"}
        assert asked() == set()
    assert asked() == {"a", "b"}


def test_a_request_is_told_once(connection: Connection, asked: Asked) -> None:
    request(connection, "a", strategy=None, by="somebody")
    assert asked() == {"a"}
    assert asked() == set()
    request(connection, "a", strategy=None, by="somebody")
    assert asked() == {"a"}


def test_a_request_that_is_committed_late_is_told(
    connection: Connection, database: Database, asked: Asked
) -> None:
    with database.connect() as slow:
        with slow.transaction():
            request(slow, "a", strategy=None, by="somebody")
            request(connection, "b", strategy=None, by="somebody")
            assert asked() == {"b"}
        assert asked() == {"a"}


def test_pausing_and_resuming_are_told(connection: Connection, asked: Asked) -> None:
    pause(connection, "a", duration=timedelta(hours=1), by="somebody")
    assert asked() == {"a"}
    assert asked() == set()
    resume(connection, "a")
    assert asked() == {"a"}


def test_a_pause_for_ever_is_told(connection: Connection, asked: Asked) -> None:
    connection.execute(
        "INSERT INTO refresher.pause (view, until, paused_by) VALUES ('a', 'infinity', 'somebody')"
    )
    assert asked() == {"a"}
    assert asked() == set()


def test_another_replicas_run_is_told_while_it_is_open_and_once_it_has_ended(
    connection: Connection, asked: Asked
) -> None:
    run = open_run(connection, "a", worker="another", age="0")
    assert asked() == {"a"}
    assert asked() == {"a"}
    connection.execute("UPDATE refresher.run SET outcome = 'succeeded' WHERE id = %s", [run])
    assert asked() == {"a"}
    assert asked() == set()


def test_a_run_that_began_and_ended_meanwhile_is_told(connection: Connection, asked: Asked) -> None:
    open_run(connection, "b", worker="another", age="0", outcome="succeeded")
    assert asked() == {"b"}
    assert asked() == set()


def test_a_run_that_was_taken_back_is_told(connection: Connection, asked: Asked) -> None:
    run = open_run(connection, "b", worker="another", age="0")
    asked()
    connection.execute("DELETE FROM refresher.run WHERE id = %s", [run])
    assert asked() == {"b"}


def test_ones_own_runs_are_left_out(connection: Connection, views: dict[str, View]) -> None:
    touched = Touched(except_worker="me")
    touched.ask(connection, views)
    open_run(connection, "a", worker="me", age="0")
    open_run(connection, "b", worker="another", age="0")
    assert touched.ask(connection, views).views == {"b"}


@pytest.mark.parametrize(
    "change",
    [
        "DROP MATERIALIZED VIEW a",
        "DROP MATERIALIZED VIEW a; CREATE MATERIALIZED VIEW a AS SELECT 1 AS id",
        "DROP MATERIALIZED VIEW a; CREATE VIEW a AS SELECT 1 AS id",
        "DROP MATERIALIZED VIEW a; CREATE TABLE a ()",
        "REFRESH MATERIALIZED VIEW a WITH NO DATA",
        "ALTER MATERIALIZED VIEW a OWNER TO pg_database_owner",
        "ALTER MATERIALIZED VIEW a RENAME TO elsewhere",
    ],
)
def test_what_stands_under_a_name_is_told_when_it_is_another(
    connection: Connection, asked: Asked, change: str
) -> None:
    connection.execute(change.encode())
    assert asked() == {"a"}
    assert asked() == set()


def test_a_view_that_is_made_is_told(connection: Connection, views: dict[str, View]) -> None:
    touched = Touched()
    views = {**views, "c": make_view("c")}
    touched.ask(connection, views)
    connection.execute("CREATE MATERIALIZED VIEW c AS SELECT 1 AS id")
    assert touched.ask(connection, views).views == {"c"}


def test_a_refresh_and_somebody_elses_views_change_nothing(
    connection: Connection, asked: Asked
) -> None:
    connection.execute("REFRESH MATERIALIZED VIEW a")
    connection.execute("CREATE VIEW others AS SELECT 1 AS id")
    assert asked() == set()


def test_what_was_found_beside_refreshes_is_told_to_those_who_ask(
    connection: Connection, views: dict[str, View], asked: Asked
) -> None:
    touched = Touched(beside_refreshes=True)
    touched.ask(connection, views)
    record_drift(connection, ["a"], [])
    record_verdicts(connection, "b", {"min_rows": None})
    assert touched.ask(connection, views).views == {"a", "b"}
    assert touched.ask(connection, views).views == set()
    assert asked() == set()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE VIEW c AS SELECT * FROM a",
        "CREATE OR REPLACE VIEW plain AS SELECT b.id FROM a, b",
        "DROP VIEW plain",
        "ALTER VIEW plain RENAME TO elsewhere",
        "DELETE FROM refresher.view WHERE name = 'a'",
        "UPDATE refresher.view SET kind = 'view' WHERE name = 'a'",
        "DELETE FROM refresher.fence WHERE view = 'a'",
    ],
)
def test_the_outline_tells_whether_the_graph_or_the_registry_may_be_another(
    connection: Connection, views: dict[str, View], change: str
) -> None:
    assert views
    connection.execute("CREATE VIEW plain AS SELECT id FROM a")
    before = read_outline(connection)
    connection.execute("REFRESH MATERIALIZED VIEW a")
    assert read_outline(connection) == before

    connection.execute(change.encode())

    assert read_outline(connection) != before
