"""`refresher run`: the real process, real signals."""

import json
import signal

import pytest

from tests.acceptance.web import get, metric
from tests.conftest import Database
from tests.project import (
    Project,
    gate_shut,
    gated,
    joining,
    materialized,
    open_gate,
    refreshing,
)
from tests.waiting import wait_until

NUMBERS = "SELECT id FROM generate_series(1, 10) AS id"


def test_views_are_refreshed_on_schedule_and_after_their_upstreams(project: Project) -> None:
    project.configure(
        {
            "numbers": materialized(NUMBERS, schedule={"every": "1s"}),
            "doubled": materialized(
                "SELECT id, 2 * id AS twice FROM numbers", schedule={"after": "upstream"}
            ),
        }
    )
    project.apply()
    with project.daemon() as daemon:
        first = daemon.wait_for_log("run.succeeded", view="numbers", trigger="schedule")
        seen = daemon.mark()
        second = daemon.wait_for_log("run.succeeded", view="numbers", since=seen)
        assert second["as_of"] > second["due_at"] > first["due_at"]
        after = daemon.wait_for_log("run.succeeded", view="doubled", trigger="upstream")
        assert (after["rows"], after["strategy"]) == (10, "concurrent")
        assert daemon.stop() == 0
        assert daemon.log_events("daemon.stopped", cancelled=0)
        assert daemon.stdout == ""


def test_a_stopped_daemon_lets_refreshes_end(project: Project, database: Database) -> None:
    project.configure({"slow": gated(schedule="manual")})
    project.apply()
    with database.connect() as keeper, project.daemon() as daemon:
        with gate_shut(keeper):
            daemon.wait_for_log("database.up")
            assert project.call("run-now", "slow", "--no-wait") == 0
            daemon.wait_for_log("run.started", view="slow")
            daemon.signal(signal.SIGTERM)
            assert daemon.wait_for_log("daemon.stopping")["running"] == 1
        assert daemon.wait() == 0
        assert daemon.log_events("run.succeeded", view="slow")
        assert daemon.log_events("daemon.stopped", cancelled=0)


@pytest.mark.parametrize("hurry", ["twice", "no drain"])
def test_a_refresh_that_may_not_end_is_cancelled_and_recorded(
    project: Project, database: Database, hurry: str
) -> None:
    project.configure({"slow": gated(schedule="manual")})
    project.apply()
    options = ["--drain", "0s"] if hurry == "no drain" else []
    with database.connect() as keeper, project.daemon(*options) as daemon, gate_shut(keeper):
        daemon.wait_for_log("database.up")
        assert project.call("run-now", "slow", "--no-wait") == 0
        daemon.wait_for_log("run.started", view="slow")
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_log("daemon.stopping")
        if hurry == "twice":
            daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert daemon.log_events("run.cancelled", view="slow")
        assert daemon.log_events("daemon.stopped", cancelled=1)
    (run,) = project.run("history", "slow", "--limit", "1", "--json").json()
    assert run["outcome"] == "cancelled"
    assert run["finished_at"] is not None


@pytest.mark.parametrize("how", ["SIGHUP", "a changed file"])
def test_a_new_configuration_is_followed(project: Project, how: str) -> None:
    project.configure({"numbers": materialized(NUMBERS, schedule="manual")})
    project.apply()
    with project.daemon() as daemon:
        daemon.wait_for_log("database.up")
        project.configure({"numbers": materialized(NUMBERS, schedule={"every": "1s"})})
        if how == "SIGHUP":
            daemon.signal(signal.SIGHUP)
        daemon.wait_for_log("config.reloaded", views=1)
        daemon.wait_for_log("run.succeeded", view="numbers")
        assert daemon.stop() == 0


def test_an_invalid_configuration_leaves_the_old_one_in_force(project: Project) -> None:
    project.configure({"numbers": materialized(NUMBERS, schedule={"every": "1s"})})
    project.apply()
    config = project.folder / "config.yaml"
    with project.daemon() as daemon:
        daemon.wait_for_log("run.succeeded", view="numbers")
        valid = config.read_text()
        config.write_text(valid.replace("schedule", "shedule"))
        rejected = daemon.wait_for_log("config.rejected")
        assert "did you mean schedule?" in rejected["error"]
        daemon.wait_for_log("run.succeeded", view="numbers", since=daemon.mark())
        assert metric(daemon, "refresher_config_last_reload_successful") == 0
        config.write_text(valid)
        daemon.wait_for_log("config.reloaded")
        assert daemon.stop() == 0


def test_an_invalid_configuration_is_rejected_once_however_often_one_asks(project: Project) -> None:
    project.configure({"numbers": materialized(NUMBERS, schedule={"every": "1s"})})
    project.apply()
    config = project.folder / "config.yaml"
    with project.daemon() as daemon:
        daemon.wait_for_log("run.succeeded", view="numbers")
        valid = config.read_text()
        config.write_text(valid.replace("schedule", "shedule"))
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_log("config.rejected")
        mark = daemon.mark()
        for _ in range(3):  # as many looks at the files have come and gone
            daemon.wait_for_log("run.succeeded", view="numbers", since=daemon.mark())
        assert daemon.log_events("config.rejected", since=mark) == []
        config.write_text(valid)
        daemon.wait_for_log("config.reloaded")
        assert daemon.stop() == 0


def test_health_is_told_over_http(project: Project) -> None:
    project.configure({"numbers": materialized(NUMBERS, schedule={"every": "1s"})})
    project.apply()
    with project.daemon() as daemon:
        daemon.wait_for_log("run.succeeded", view="numbers")
        assert json.loads(get(daemon, "/healthz"))["ok"] is True
        wait_until(lambda: json.loads(get(daemon, "/readyz"))["ok"], what="readiness")
        runs = 'refresher_refresh_runs_total{database="crm",view="numbers",strategy="concurrent",'
        wait_until(lambda: metric(daemon, runs + 'outcome="succeeded"}'), what=runs)
        assert metric(daemon, 'refresher_database_up{database="crm"}') == 1
        assert daemon.stop() == 0


def test_a_refresh_of_the_daemon_is_joined_by_hand(project: Project, database: Database) -> None:
    project.configure({"slow": gated(schedule="manual")})
    project.apply()
    with database.connect() as keeper, project.daemon() as daemon, gate_shut(keeper):
        daemon.wait_for_log("database.up")
        assert project.call("run-now", "slow", "--no-wait") == 0
        begun = daemon.wait_for_log("run.started", view="slow")
        with project.start("run-now", "slow", "--json") as command:
            wait_until(lambda: joining(keeper), what="the command")
            open_gate(keeper)
            ended = command.finished()
        (run,) = ended.json()
        assert (ended.code, run["due_at"]) == (0, begun["due_at"])
        assert daemon.stop() == 0


def test_a_view_that_is_refreshed_by_hand_is_left_alone_by_the_daemon(
    project: Project, database: Database
) -> None:
    project.configure(
        {
            "slow": gated(schedule={"every": "1s"}),
            "quick": materialized(NUMBERS, schedule={"every": "1s"}),
        }
    )
    project.apply()
    with (
        database.connect() as keeper,
        gate_shut(keeper),
        project.start("run-now", "slow", "--json") as command,
    ):
        wait_until(lambda: refreshing(keeper), what="the command's refresh")
        with project.daemon() as daemon:
            for _ in range(3):
                daemon.wait_for_log("run.succeeded", view="quick", since=daemon.mark())
            assert len(refreshing(keeper)) == 1
            assert not [event for event in daemon.logs if event.get("view") == "slow"]
            open_gate(keeper)
            (run,) = command.finished().json()
            assert run["outcome"] == "succeeded"
            daemon.wait_for_log("run.succeeded", view="slow", trigger="schedule")
            assert daemon.stop() == 0


def test_a_paused_view_waits_and_a_resumed_one_goes_on(project: Project) -> None:
    project.configure(
        {
            "held": materialized(NUMBERS, schedule={"every": "1s"}),
            "quick": materialized(NUMBERS, schedule={"every": "1s"}),
        }
    )
    project.apply()
    assert project.call("pause", "held", "--for", "1h") == 0
    with project.daemon() as daemon:
        for _ in range(3):
            daemon.wait_for_log("run.succeeded", view="quick", since=daemon.mark())
        assert not daemon.log_events("run.succeeded", view="held")
        assert project.call("resume", "held") == 0
        daemon.wait_for_log("run.succeeded", view="held")
        assert daemon.stop() == 0


def test_logs_are_readable_on_demand(project: Project) -> None:
    project.configure({"numbers": materialized(NUMBERS, schedule={"every": "1s"})})
    project.apply()
    with project.start("run", "--log-format", "console") as daemon:
        daemon.wait_for_stderr("run.succeeded")
        daemon.signal(signal.SIGTERM)
        ended = daemon.finished()
    assert (ended.code, ended.stdout) == (0, "")
    assert "\x1b" not in ended.stderr
    assert "run.started" not in ended.stderr  # which is for --log-level debug
    assert daemon.logs == []
