"""`refresher run --apply`, while a first fill takes its time."""

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
