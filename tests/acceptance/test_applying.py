"""`refresher run --apply`: while a fill takes its time, and where not all can be applied."""

import signal

from tests.conftest import Database
from tests.project import Project, gate_shut, gated, materialized
from tests.waiting import wait_until


def test_a_daemon_that_fills_a_view_shows_that_it_lives(
    project: Project, database: Database
) -> None:
    project.configure({"slow": gated(schedule="manual")})
    with database.connect() as keeper, project.daemon("--apply") as daemon:
        with gate_shut(keeper):
            daemon.wait_for_log("run.started", view="slow")
            seen = "SELECT id FROM refresher.worker WHERE seen_at > started_at"
            wait_until(lambda: keeper.execute(seen).fetchall(), what="a second sign of life")
        assert daemon.wait_for_log("run.succeeded", view="slow")["trigger"] == "populate"
        daemon.wait_for_log("database.up")
        assert daemon.stop() == 0


def test_a_daemon_that_is_stopped_cancels_a_first_fill_and_begins_no_other(
    project: Project, database: Database
) -> None:
    project.configure(
        {"a_slow": gated(schedule="manual"), "b": materialized("SELECT 1 AS id", schedule="manual")}
    )
    stopped = project.daemon("--apply", "--drain", "0s")
    with database.connect() as keeper, gate_shut(keeper), stopped as daemon:
        daemon.wait_for_log("run.started", view="a_slow")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert daemon.log_events("run.cancelled", view="a_slow")
        assert daemon.log_events("daemon.stopped", cancelled=1)
        assert not daemon.log_events("run.started", view="b")
        assert not daemon.log_events("database.down")


def test_a_daemon_that_is_stopped_cancels_a_swap_and_the_old_contents_stay(
    project: Project, database: Database
) -> None:
    project.configure({"slow": materialized("SELECT 1 AS id, 'old' AS open")})
    project.apply()
    project.configure({"slow": gated()})
    stopped = project.daemon("--apply", "--drain", "0s")
    with database.connect() as keeper, gate_shut(keeper), stopped as daemon:
        daemon.wait_for_log("run.started", view="slow")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert daemon.log_events("run.cancelled", view="slow")
        assert not daemon.log_events("step.failed")
        assert keeper.execute("SELECT open FROM slow").fetchone() == {"open": "old"}


def test_a_daemon_applies_what_changed_and_logs_each_step(
    project: Project, database: Database
) -> None:
    project.configure(
        {"kept": materialized("SELECT 1 AS id"), "gone": materialized("SELECT 1 AS id")}
    )
    project.apply()
    project.configure({"kept": materialized("SELECT 2 AS id")}, prune=True)
    with database.connect() as connection, project.daemon("--apply") as daemon:
        daemon.wait_for_log("database.up")
        assert [line["step"] for line in daemon.log_events("step.done")] == [
            "swap kept",
            "drop gone",
        ]
        assert connection.execute("SELECT id FROM kept").fetchone() == {"id": 2}
        assert daemon.stop() == 0


def test_what_can_not_be_applied_keeps_nothing_from_being_refreshed(
    project: Project, database: Database
) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE taken (id int)")
    every = {"every": "1s"}
    project.configure({"numbers": materialized("SELECT 1 AS id")})
    project.apply()
    project.configure(
        {
            "numbers": materialized("SELECT 1 AS id", schedule=every),
            "taken": {"kind": "view", "query": "SELECT 1 AS id"},
        }
    )
    with project.daemon("--apply") as daemon:
        refused = daemon.wait_for_log("apply.refused")
        assert refused["problem"].startswith("taken: public.taken is a table")
        daemon.wait_for_log("run.succeeded", view="numbers", trigger="schedule")
        assert daemon.stop() == 0


def test_a_step_that_fails_is_logged_with_its_reason(project: Project) -> None:
    every = {"every": "1s"}
    project.configure(
        {
            "broken": materialized("SELECT 1 / (id - 1) AS id FROM generate_series(1, 2) AS id"),
            "numbers": materialized("SELECT 1 AS id", schedule=every),
        }
    )
    with project.daemon("--apply") as daemon:
        failed = daemon.wait_for_log("step.failed", step="populate broken")
        assert failed["detail"] == "can't be filled: division by zero"
        assert daemon.wait_for_log("step.skipped")["detail"] == "waits for broken"
        daemon.wait_for_log("run.succeeded", view="numbers", trigger="schedule")
        assert daemon.stop() == 0
