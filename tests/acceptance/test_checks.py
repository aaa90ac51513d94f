"""Checks of plain views, judged by a real daemon."""

import json

from tests.acceptance.web import get, metric
from tests.conftest import Database
from tests.project import GATED, Project, gate_shut, materialized
from tests.waiting import wait_until

NUMBERS = "SELECT id FROM generate_series(1, 10) AS id"


def test_a_view_that_lost_columns_is_told_until_it_has_them_again(
    project: Project, database: Database
) -> None:
    checks = {"columns": ["id", "name", {"total": "numeric"}], "every": "1s"}
    whole = "SELECT 1 AS id, 'ann' AS name, 2.5 AS total"
    project.configure({"list": {"kind": "view", "query": whole, "checks": checks}})
    project.apply()
    series = 'refresher_view_checks_broken{database="crm",view="list"}'
    with database.connect() as migration, project.daemon() as daemon:
        wait_until(lambda: metric(daemon, series) == 0.0, 30, what="the checks to hold")

        migration.execute("DROP VIEW list; CREATE VIEW list AS SELECT 1 AS id")
        broken = daemon.wait_for_log("check.broken", view="list", check="columns")
        assert broken["problem"] == "2 of 3 are missing: name, total"
        assert broken["level"] == "warning"
        wait_until(lambda: metric(daemon, series) == 1.0, 30, what="the broken check")
        assert json.loads(get(daemon, "/readyz"))["ok"] is True

        migration.execute(f"DROP VIEW list; CREATE VIEW list AS {whole}".encode())
        daemon.wait_for_log("check.mended", view="list", check="columns")
        wait_until(lambda: metric(daemon, series) == 0.0, 30, what="the mended check")
        assert daemon.stop() == 0
        assert len(daemon.log_events("check.broken")) == 1


def test_a_check_that_takes_long_delays_no_refresh_and_no_end(
    project: Project, database: Database
) -> None:
    project.configure(
        {
            "slow": {"kind": "view", "query": GATED, "checks": {"not_null": ["open"]}},
            "numbers": materialized(NUMBERS, schedule={"every": "1s"}),
        }
    )
    project.apply()
    with database.connect() as keeper, project.daemon() as daemon, gate_shut(keeper):
        wait_until(lambda: _checking(database), 30, what="the check to begin")
        since = daemon.mark()
        daemon.wait_for_log("run.succeeded", view="numbers", since=since)
        since = daemon.mark()
        daemon.wait_for_log("run.succeeded", view="numbers", since=since)
        assert _checking(database)
        assert daemon.stop() == 0
        assert not daemon.log_events("check.broken")
        wait_until(lambda: not _checking(database), 30, what="the check to be cancelled")


def _checking(database: Database) -> bool:
    with database.connect() as connection:
        row = connection.execute(
            "SELECT count(*) AS busy FROM pg_stat_activity WHERE datname = current_database()"
            " AND state = 'active' AND query LIKE 'SELECT count(*), count(*) - count(%'"
        ).fetchone()
    return row is not None and row["busy"] > 0
