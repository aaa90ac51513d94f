"""Columns of somebody else's table, filled by real daemons while others write."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from refresher.postgres.sessions import Connection
from tests.acceptance.terminal import Terminal
from tests.acceptance.web import get, metric
from tests.conftest import Database
from tests.project import Project, materialized
from tests.waiting import wait_until

_ROWS = 4000
_CRM = f"""
CREATE TABLE customer (id int PRIMARY KEY, source text NOT NULL);
INSERT INTO customer SELECT n, 's' || n % 7 FROM generate_series(1, {_ROWS}) AS n;
CREATE TABLE metrics (customer_id int PRIMARY KEY, visits int NOT NULL DEFAULT 0, source text);
INSERT INTO metrics (customer_id) SELECT n FROM generate_series(1, {_ROWS} + 10) AS n;
-- All that the least of roles needs, as plans and the doctor say.
GRANT SELECT (customer_id, source), UPDATE (source) ON metrics TO PUBLIC;
"""
_WRONG = """
SELECT count(*) AS rows FROM metrics AS m LEFT JOIN customer AS c ON c.id = m.customer_id
WHERE m.source IS DISTINCT FROM c.source
"""


def views(**settings: Any) -> dict[str, Any]:
    return {
        "sources": materialized("SELECT id, source FROM customer", schedule={"every": "1s"}),
        "filled": {
            "kind": "columns",
            "table": "metrics",
            "key": ["customer_id"],
            "columns": ["source"],
            "query": "SELECT id AS customer_id, source FROM sources",
            "schedule": {"after": "upstream"},
            **settings,
        },
        "list": {"kind": "view", "query": "SELECT customer_id, visits, source FROM metrics"},
    }


@pytest.fixture
def crm(project: Project, database: Database) -> Project:
    with database.connect() as connection:
        connection.execute(_CRM)
    project.configure(views())
    return project


def wrong(connection: Connection) -> int:
    found = connection.execute(_WRONG).fetchone()
    assert found is not None
    rows: int = found["rows"]
    return rows


@contextmanager
def visitors(database: Database) -> Iterator[list[BaseException]]:
    """An application that counts visits all the while; yields what went wrong for it."""
    errors: list[BaseException] = []
    ended = threading.Event()

    def visit() -> None:
        try:
            with database.connect() as connection:
                while not ended.is_set():
                    connection.execute(
                        "UPDATE metrics SET visits = visits + 1 WHERE customer_id IN"
                        " (SELECT 1 + (random() * 3999)::int FROM generate_series(1, 20))"
                    )
        except Exception as error:  # noqa: BLE001 - the test looks at it
            errors.append(error)

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield errors
    finally:
        ended.set()
        thread.join()


def test_the_life_of_filled_columns(crm: Project, database: Database) -> None:
    assert crm.run("plan").code == 10
    done = crm.run("apply")
    assert done.code == 0, done.stderr
    assert crm.run("plan").stdout == "no changes\n"
    with database.connect() as connection, visitors(database) as errors, crm.daemon() as daemon:
        assert wrong(connection) == 0
        connection.execute("UPDATE customer SET source = 'new' WHERE id % 10 = 0")
        updated = daemon.wait_for_log("run.succeeded", view="filled", rows_updated=_ROWS // 10)
        assert (updated["strategy"], updated["trigger"]) == ("columns", "upstream")
        assert (updated["rows_inserted"], updated["rows_deleted"]) == (0, 0)
        wait_until(lambda: wrong(connection) == 0, what="the columns to be right")
        labels = 'database="crm",view="filled"'
        assert metric(daemon, f"refresher_view_populated{{{labels}}}") == 1
        info = f'{labels},relation="public.metrics",kind="columns"'
        assert f"refresher_view_info{{{info}" in get(daemon, "/metrics")
        path = crm.run("freshness", "list").stdout
        assert all(name in path for name in ("  filled ", "  sources ", "public.customer"))
        state = {row["view"]: row for row in crm.run("status", "--json").json()}
        assert {name: row["state"] for name, row in state.items()} == dict.fromkeys(state, "fresh")
        assert state["filled"]["relation"] == "public.metrics"
        assert crm.run("verify", "filled").code == 0
        assert daemon.stop() == 0
        assert errors == []
    assert crm.run("destroy", "filled", "--yes").code == 0
    with database.connect() as connection:
        assert wrong(connection) == 0


def test_two_daemons_fill_them_once_and_one_takes_over(crm: Project, database: Database) -> None:
    crm.apply()
    crm.configure(views(max_rows_per_second=1000))
    with database.connect() as connection, visitors(database) as errors:
        connection.execute("UPDATE customer SET source = 'new'")
        with crm.daemon() as one, crm.daemon() as two:
            filling = "SELECT view, rows_done FROM refresher.filling WHERE rows_done > 0"
            wait_until(lambda: connection.execute(filling).fetchall(), what="some rows written")
            notes = crm.run("status").stdout
            assert "rows written" in notes
            begun = [(d, d.log_events("run.started", view="filled")) for d in (one, two)]
            ((filler, _),) = [each for each in begun if each[1]]
            other = two if filler is one else one
            filler.kill()
            other.wait_for_log("run.started", view="filled")
            wait_until(lambda: wrong(connection) == 0, 30, what="the rest to be written")
            other.wait_for_log("run.succeeded", view="filled")
            assert other.stop() == 0
        assert errors == []
        stages = "SELECT relname FROM pg_class WHERE relname = 'filled_stage'"
        assert connection.execute(stages).fetchall() == []


def test_a_drain_cuts_it_off_between_two_batches(crm: Project, database: Database) -> None:
    crm.apply()
    crm.configure(views(max_rows_per_second=100))
    with database.connect() as connection:
        connection.execute("UPDATE customer SET source = 'new'")
        with crm.daemon("--drain", "0s") as daemon:
            filling = "SELECT FROM refresher.filling WHERE rows_done > 0"
            wait_until(
                lambda: (
                    connection.execute(f"SELECT EXISTS ({filling}) AS found").fetchone()
                    == {"found": True}
                ),
                what="some rows written",
            )
            assert daemon.stop() == 0
            daemon.wait_for_log("run.cancelled", view="filled")
        assert 0 < wrong(connection) < _ROWS
    crm.configure(views())
    done = crm.run("run-now", "filled")
    assert done.code == 0, done.stderr
    with database.connect() as connection:
        assert wrong(connection) == 0


def test_what_is_run_by_hand_tells_how_far_it_is(crm: Project, database: Database) -> None:
    crm.apply()
    crm.configure(views(max_rows_per_second=1000))
    with database.connect() as connection:
        connection.execute("UPDATE customer SET source = 'new'")
    with (
        Terminal(100) as terminal,
        crm.start("run-now", "filled", "--upstream", stderr=terminal.theirs) as command,
    ):
        wait_until(lambda: "writing rows: " in terminal.written, 30, what="how far it is")
        assert command.wait() == 0
    assert any(f"of {_ROWS:,}" in line for line in terminal.lines)


def test_checks_keep_the_table_as_it_was(crm: Project, database: Database) -> None:
    crm.apply()
    crm.configure(views(checks={"min_rows": 3000, "assert": "SELECT count(*) > 3500 FROM filled"}))
    with database.connect() as connection:
        connection.execute("DELETE FROM customer WHERE id % 5 = 0")
        done = crm.run("run-now", "filled", "--upstream")
        assert done.code == 1
        assert "assert: it returned false; the old contents stay" in done.stderr
        assert wrong(connection) == _ROWS // 5
        broken = connection.execute("SELECT check_name FROM refresher.broken_check").fetchall()
        assert broken == [{"check_name": "assert"}]
