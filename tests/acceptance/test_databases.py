"""Databases that are not there yet, go away and come back; two of them in one daemon."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import pytest
from psycopg import sql

from refresher.postgres.sessions import Connection, connect
from tests.acceptance.process import RefresherProcess
from tests.acceptance.restarting import RestartedServer
from tests.acceptance.web import get, metric
from tests.conftest import Database
from tests.project import Project, materialized
from tests.servers import endpoint_of
from tests.waiting import wait_until

NUMBERS = materialized("SELECT id FROM generate_series(1, 10) AS id", schedule={"every": "1s"})


def answers_all_the_while(daemon: RefresherProcess, *, up: float, ready: bool) -> bool:
    """Whether it is healthy and tells the truth over HTTP."""
    assert json.loads(get(daemon, "/healthz"))["ok"] is True
    return (
        metric(daemon, 'refresher_database_up{database="crm"}') == up
        and json.loads(get(daemon, "/readyz"))["ok"] is ready
    )


def test_a_database_is_waited_for_at_the_start_and_whenever_it_goes_away(
    tmp_path: Path, own_server: RestartedServer
) -> None:
    project = Project(tmp_path, {"DATABASE_URL": own_server.conninfo})
    project.configure({"numbers": NUMBERS})
    with project.daemon("--apply") as daemon:
        first = daemon.wait_for_log("database.down")
        assert first["error"].startswith("can't connect to database 'crm'")
        second = daemon.wait_for_log("database.down", since=daemon.logs.index(first) + 1)
        assert second["retry_in_seconds"] > first["retry_in_seconds"]
        assert answers_all_the_while(daemon, up=0, ready=False)

        own_server.start()
        daemon.wait_for_log("database.up")
        daemon.wait_for_log("run.succeeded", trigger="populate")
        daemon.wait_for_log("run.succeeded", trigger="schedule")
        wait_until(lambda: answers_all_the_while(daemon, up=1, ready=True), what="readiness")

        gone = daemon.mark()
        own_server.stop()
        daemon.wait_for_log("database.down", since=gone)
        wait_until(lambda: answers_all_the_while(daemon, up=0, ready=True), what="the truth")
        staleness = 'refresher_view_staleness_seconds{database="crm",view="numbers"}'
        assert metric(daemon, staleness) is not None

        own_server.start()
        daemon.wait_for_log("database.up", since=gone)
        daemon.wait_for_log("run.succeeded", trigger="schedule", since=daemon.mark())
        assert daemon.stop() == 0
    runs = project.run("history", "numbers", "--limit", "1000", "--json").json()
    assert all(run["outcome"] is not None for run in runs)


def test_a_database_whose_commits_hang_is_told_as_down_and_the_daemon_goes_on(
    tmp_path: Path, own_server: RestartedServer
) -> None:
    own_server.start()
    project = Project(tmp_path, {"DATABASE_URL": own_server.conninfo})
    project.configure({"numbers": NUMBERS})
    with project.daemon("--apply") as daemon, connect(endpoint_of(own_server.conninfo)) as admin:
        daemon.wait_for_log("run.succeeded", trigger="schedule")
        wait_until(lambda: answers_all_the_while(daemon, up=1, ready=True), what="readiness")

        stuck = daemon.mark()
        _wait_for_standbys(admin, "nobody")
        down = daemon.wait_for_log("database.down", since=stuck, deadline=60)
        assert "synchronous standby" in down["error"]
        assert "retry_in_seconds" not in down
        # Reading the state goes on all the time; it is not taken for an answer.
        seen = metric(daemon, _STATE_READ)
        wait_until(lambda: metric(daemon, _STATE_READ) != seen, what="the next reading")
        assert answers_all_the_while(daemon, up=0, ready=True)
        (finding,) = _errors(project)
        assert (finding["topic"], "(nobody)" in finding["cure"]) == ("synchronous", True)
        (shown,) = project.run("status", "--json").json()
        assert "no daemon is at work" in shown["waiting"]

        _wait_for_standbys(admin, "")
        daemon.wait_for_log("database.up", since=stuck)
        wait_until(lambda: answers_all_the_while(daemon, up=1, ready=True), what="readiness again")
        daemon.wait_for_log("run.succeeded", trigger="schedule", since=daemon.mark())
        assert len(daemon.log_events("database.down", since=stuck)) == 1
        assert _errors(project) == []
        assert daemon.stop() == 0


_STATE_READ = 'refresher_state_last_success_timestamp_seconds{database="crm"}'


def _wait_for_standbys(admin: Connection, names: LiteralString) -> None:
    admin.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(names))
    admin.execute("SELECT pg_reload_conf()")


def _errors(project: Project) -> list[dict[str, Any]]:
    (examined,) = project.run("doctor", "--json").json()
    return [each for each in examined["findings"] if each["severity"] == "error"]


@pytest.fixture
def elsewhere(maintenance: Connection, bare_database: Database) -> Iterator[Database]:
    """A database nobody may connect to."""
    shut(maintenance, bare_database)
    shut(maintenance, bare_database)
    yield bare_database
    reopen(maintenance, bare_database)


def shut(maintenance: Connection, database: Database) -> None:
    name = sql.Identifier(database.name)
    maintenance.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
    maintenance.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
        [database.name],
    )


def reopen(maintenance: Connection, database: Database) -> None:
    name = sql.Identifier(database.name)
    maintenance.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


def test_a_database_that_is_away_holds_up_no_other(
    project: Project, elsewhere: Database, maintenance: Connection
) -> None:
    project.environment["ELSEWHERE_URL"] = elsewhere.conninfo
    project.configure(
        {"near": NUMBERS | {"database": "crm"}, "far": NUMBERS | {"database": "elsewhere"}},
        databases={
            "elsewhere": {"conninfo": "${ELSEWHERE_URL}"},
            "crm": {"conninfo": "${DATABASE_URL}"},
        },
    )
    with project.daemon("--apply") as daemon:
        daemon.wait_for_log("database.down", database="elsewhere")
        daemon.wait_for_log("run.succeeded", database="crm", view="near", trigger="schedule")

        reopen(maintenance, elsewhere)
        daemon.wait_for_log("run.succeeded", database="elsewhere", view="far", trigger="schedule")

        away = daemon.mark()
        shut(maintenance, elsewhere)
        daemon.wait_for_log("database.down", database="elsewhere", since=away)
        daemon.wait_for_log("run.succeeded", view="near", since=daemon.mark())
        assert json.loads(get(daemon, "/healthz"))["ok"] is True
        assert metric(daemon, 'refresher_database_up{database="crm"}') == 1

        reopen(maintenance, elsewhere)
        daemon.wait_for_log("database.up", database="elsewhere", since=away)
        daemon.wait_for_log("run.succeeded", view="far", since=daemon.mark())
        assert not daemon.log_events("database.down", database="crm")
        assert daemon.stop() == 0
