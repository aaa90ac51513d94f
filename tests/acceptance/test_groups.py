"""Views of one group: the daemon and the shell refresh all of them, as of one moment."""

from typing import Any

import pytest

from tests.acceptance.process import RefresherProcess
from tests.conftest import Database
from tests.project import Project, gate_shut, gated, materialized, refreshing
from tests.waiting import wait_until

ITEMS = "SELECT id, v FROM item"


@pytest.fixture
def grouped(project: Project, database: Database) -> Project:
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE item AS SELECT id, 0 AS v FROM generate_series(1, 5) AS id"
        )
    configure(project, schedule={"every": "1s"})
    project.apply()
    return project


def configure(project: Project, **settings: Any) -> None:
    together = {"group": "together", **settings}
    project.configure(
        {
            "sums": {
                "kind": "table",
                "key": ["odd"],
                "query": "SELECT id % 2 AS odd, sum(v) AS v FROM items GROUP BY 1",
                **together,
            },
            "items": materialized(ITEMS, **together),
            "alone": materialized(ITEMS, **settings),
        }
    )


def of_group(daemon: RefresherProcess, event: str, since: int) -> list[dict[str, Any]]:
    found = daemon.log_events(event)[since:]
    return [each for each in found if each["view"] in {"sums", "items"}]


def test_the_daemon_refreshes_them_together(grouped: Project) -> None:
    with grouped.daemon() as daemon:
        for _ in range(3):
            seen = daemon.mark()
            sums = daemon.wait_for_log("run.succeeded", view="sums", since=seen)
            daemon.wait_for_log("run.succeeded", view="items", as_of=sums["as_of"])
        daemon.wait_for_log("run.succeeded", view="alone", trigger="schedule")
        assert daemon.stop() == 0
    runs = daemon.log_events("run.succeeded")
    moments = {
        view: {run["as_of"] for run in runs if run["view"] == view}
        for view in ("sums", "items", "alone")
    }
    assert moments["sums"] == moments["items"]
    assert not moments["alone"] & moments["items"]


def test_asked_for_one_all_are_refreshed(grouped: Project) -> None:
    configure(grouped, schedule="manual")
    done = grouped.run("run-now", "items", "--json").json()
    assert {run["view"] for run in done} == {"sums", "items"}
    assert len({run["as_of"] for run in done}) == 1


def test_what_breaks_one_is_told_of_all(grouped: Project, database: Database) -> None:
    configure(grouped, schedule="manual", checks={"min_rows": 2})
    with database.connect() as connection:
        connection.execute("DELETE FROM item WHERE id % 2 = 0")
        done = grouped.run("run-now", "sums")
        assert done.code == 1
        assert "its group was rolled back: sums: " in done.stderr
        row = connection.execute("SELECT count(*) AS rows FROM items").fetchone()
    assert row == {"rows": 5}


def test_a_pause_holds_them_all(grouped: Project) -> None:
    configure(grouped, schedule="manual")
    assert grouped.call("pause", "sums", "--for", "1h") == 0
    states = grouped.run("status", "--json").json()
    paused = {view["view"] for view in states if view["paused"]}
    assert paused == {"sums", "items"}
    assert grouped.call("resume", "items") == 0
    states = grouped.run("status", "--json").json()
    assert not [view for view in states if view["paused"]]


def test_a_group_takes_one_worker(project: Project, database: Database) -> None:
    together = {"group": "together", "schedule": {"every": "1s"}}
    project.configure(
        {
            "first": gated(**together),
            "second": gated(**together),
            "third": gated(**together),
            "other": materialized("SELECT 1 AS id", schedule={"every": "1s"}),
        },
        databases={"crm": {"conninfo": "${DATABASE_URL}", "max_parallel": 2}},
    )
    project.apply()
    with database.connect() as keeper, project.daemon() as daemon:
        with gate_shut(keeper):
            wait_until(lambda: refreshing(keeper), what="the group at work")
            seen = daemon.mark()
            for _ in range(2):
                daemon.wait_for_log("run.succeeded", view="other", since=seen)
                seen = daemon.mark()
        assert daemon.stop() == 0
