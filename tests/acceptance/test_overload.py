"""More is due than can be done, or than the database has time for: who waits, and how it shows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from refresher.postgres import sessions
from tests.acceptance.process import RefresherProcess
from tests.acceptance.web import metric
from tests.conftest import Database
from tests.project import Project, gate_shut, gated, materialized, open_gate
from tests.waiting import wait_until

NUMBERS = "SELECT id FROM generate_series(1, 10) AS id"
SLOWER = "SELECT id FROM generate_series(1, 10) AS id, pg_sleep(0.2)"
"""Long enough for nothing to be handed out ahead, where it could not be overtaken."""
THROTTLED = 'refresher_database_throttled{database="crm"}'


def _databases(**settings: Any) -> dict[str, Any]:
    return {"crm": {"conninfo": "${DATABASE_URL}", **settings}}


def _see_everybody(project: Project, database: Database) -> None:
    """Let refresher's role, whichever it is, see what others do."""
    role = conninfo_to_dict(project.environment["DATABASE_URL"])["user"]
    grant = sql.SQL("GRANT pg_read_all_stats TO {}").format(sql.Identifier(str(role)))
    with database.connect() as superuser:
        superuser.execute(grant)


def _notes(project: Project) -> dict[str, str | None]:
    """What each view waits for, as `status` says it."""
    rows = project.run("status", "--json").json()
    return {row["view"]: row["waiting"] for row in rows}


def test_a_backlog_shows_and_the_view_nearest_its_limit_goes_first(
    project: Project, database: Database
) -> None:
    every = {"schedule": {"every": "1s"}, "max_staleness": "1d"}
    project.configure(
        {
            "gate": gated(schedule="manual"),
            "a": materialized(SLOWER, **every),
            "b": materialized(SLOWER, **every),
            "urgent": materialized(SLOWER, schedule={"every": "1s"}, max_staleness="2s"),
        },
        databases=_databases(max_parallel=1),
    )
    project.apply()
    with database.connect() as keeper, project.daemon() as daemon:
        daemon.wait_for_log("run.succeeded", view="urgent")
        with gate_shut(keeper):
            assert project.call("run-now", "gate", "--no-wait") == 0
            daemon.wait_for_log("run.started", view="gate")
            wait_until(
                lambda: metric(daemon, 'refresher_queue_length{database="crm"}') == 3,
                20,
                what="the queue",
            )
            notes = _notes(project)
            assert notes["gate"] == "running"
            for view in ("a", "b", "urgent"):
                assert str(notes[view]).startswith("due since ")
                assert str(notes[view]).endswith(" UTC, waits for a free slot")
            # Instants pass; who waits has waited since the first of them.
            assert _since(notes) == _since(_notes(project))
            mark = daemon.mark()
            open_gate(keeper)
        daemon.wait_for_log("run.started", view="a", since=mark)
        daemon.wait_for_log("run.started", view="b", since=mark)
        started = [event["view"] for event in daemon.log_events("run.started", since=mark)]
        assert started[0] == "urgent"
        waited = daemon.wait_for_log("run.succeeded", view="b", since=mark)["queue_wait_seconds"]
        assert waited > 1  # longer than from its newest instant
        phase = 'refresher_refresh_wait_seconds_sum{database="crm",phase="queue"}'
        assert wait_until(lambda: metric(daemon, phase), what=phase) >= waited


def _since(notes: dict[str, str | None]) -> dict[str, str | None]:
    return {view: note for view, note in notes.items() if view != "gate"}


def test_a_long_transaction_throttles_what_is_scheduled_only(
    project: Project, database: Database
) -> None:
    scheduled = materialized(NUMBERS, schedule={"every": "1s"})
    project.configure(
        {"numbers": scheduled}, databases=_databases(throttle={"oldest_transaction": "1s"})
    )
    project.apply()
    _see_everybody(project, database)
    with database.connect() as other, project.daemon() as daemon:
        daemon.wait_for_log("run.succeeded", view="numbers", trigger="schedule")
        assert metric(daemon, THROTTLED) == 0
        with other.transaction():
            other.execute("SET LOCAL application_name = 'crm'")
            told = daemon.wait_for_log("database.throttled", database="crm")
            assert told["reason"].startswith("oldest transaction ")
            assert told["reason"].endswith(" over 1.0s")
            assert metric(daemon, THROTTLED) == 1
            wait_until(lambda: "throttled: " in str(_notes(project)["numbers"]), what="the status")
            mark = daemon.mark()
            _passes_by_hand(project, daemon, mark)
        daemon.wait_for_log("database.unthrottled", since=mark)
        daemon.wait_for_log("run.succeeded", view="numbers", trigger="schedule", since=mark)
        assert metric(daemon, THROTTLED) == 0
        assert len(daemon.log_events("database.throttled")) == 1


def _passes_by_hand(project: Project, daemon: RefresherProcess, mark: int) -> None:
    """What somebody asks for does not wait; nothing else has begun meanwhile."""
    assert project.call("run-now", "numbers", "--no-wait") == 0
    daemon.wait_for_log("run.succeeded", view="numbers", since=mark)
    runs = daemon.log_events("run.succeeded", view="numbers", since=mark)
    assert [run["trigger"] for run in runs] == ["manual"]


def test_many_active_connections_throttle_but_not_a_first_fill(
    project: Project, database: Database
) -> None:
    project.configure(
        {
            "numbers": materialized(NUMBERS, schedule={"every": "1s"}),
            "empty": materialized(NUMBERS, schedule={"every": "1s"}),
        },
        databases=_databases(throttle={"active_connections": 25}),
    )
    project.apply()
    _see_everybody(project, database)
    with database.connect() as owner, project.daemon() as daemon:
        daemon.wait_for_log("run.succeeded", view="numbers", trigger="schedule")
        with _at_work(database, 30):
            told = daemon.wait_for_log("database.throttled")
            assert told["reason"].endswith(" active connections over 25")
            mark = daemon.mark()
            owner.execute("REFRESH MATERIALIZED VIEW empty WITH NO DATA")
            daemon.wait_for_log("run.succeeded", view="empty", since=mark)
            assert daemon.log_events("run.started", view="numbers", since=mark) == []
        daemon.wait_for_log("database.unthrottled", since=mark)
        daemon.wait_for_log("run.succeeded", view="numbers", since=mark)


@contextmanager
def _at_work(database: Database, number: int) -> Iterator[None]:
    """So many sessions of somebody else that run a statement, until the block ends."""
    with ExitStack() as stack, ThreadPoolExecutor(number) as pool:
        connections = [
            stack.enter_context(sessions.connect(database.endpoint, application="crm"))
            for _ in range(number)
        ]
        for connection in connections:
            pool.submit(connection.execute, "SELECT pg_sleep(600)")
        try:
            yield
        finally:
            for connection in connections:
                connection.cancel_safe(timeout=5)
