"""What others do to the views: a real daemon sees it, says it, and goes on as ever."""

import json
import signal
from typing import Any

import pytest

from tests.acceptance.process import RefresherProcess
from tests.acceptance.web import get, metric
from tests.conftest import Database
from tests.project import Project, materialized
from tests.waiting import wait_until

COPY = "SELECT id, value FROM source"
COMMENT = 'refresher_view_drift{database="crm",view="copy",aspect="comment"}'
OUTSIDE = 'refresher_view_refreshed_outside{database="crm",view="copy"}'


@pytest.fixture
def source(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE source AS SELECT n AS id, n AS value FROM generate_series(1, 10) AS n"
        )


def do_elsewhere(database: Database, *statements: str) -> None:
    with database.connect() as somebody:
        for statement in statements:
            somebody.execute(statement.encode())


def status(project: Project) -> dict[str, Any]:
    (row,) = project.run("status", "copy", "--json").json()
    found: dict[str, Any] = row
    return found


def is_ready(daemon: RefresherProcess) -> bool:
    return bool(json.loads(get(daemon, "/readyz"))["ok"])


@pytest.mark.usefixtures("source")
def test_an_alteration_by_hand_is_told_until_it_is_cured(
    project: Project, database: Database
) -> None:
    project.configure({"copy": materialized(COPY, schedule="manual", comment="as configured")})
    project.apply()
    with project.daemon() as daemon:
        wait_until(lambda: metric(daemon, COMMENT) == 0, 30, what="the first look")
        assert daemon.log_events("drift.found") == []

        do_elsewhere(database, "COMMENT ON MATERIALIZED VIEW copy IS 'by hand'")
        daemon.signal(signal.SIGHUP)
        found = daemon.wait_for_log("drift.found", view="copy", aspect="comment")
        assert found["level"] == "warning"
        wait_until(lambda: metric(daemon, COMMENT) == 1, 30, what="the metric")
        row = status(project)
        assert [drift["aspect"] for drift in row["drift"]] == ["comment"]
        assert row["drift"][0]["message"] == found["drift"]
        assert "drift: comment" in project.run("status").stdout
        assert is_ready(daemon)

        project.apply()
        daemon.wait_for_log("drift.gone", view="copy", aspect="comment")
        wait_until(lambda: metric(daemon, COMMENT) == 0, 30, what="the metric")
        assert status(project)["drift"] == []
        assert is_ready(daemon)
        assert len(daemon.log_events("drift.found")) == 1
        assert daemon.stop() == 0


@pytest.mark.usefixtures("source")
def test_a_definition_that_is_refused_is_told_and_the_daemon_goes_on(project: Project) -> None:
    views = {
        "copy": materialized(COPY, schedule="manual"),
        "ticking": materialized(COPY, schedule={"every": "1s"}),
    }
    project.configure(views)
    project.apply()
    with project.daemon() as daemon:
        views["copy"] = materialized("SELECT id, no_such FROM source", schedule="manual")
        project.configure(views)
        found = daemon.wait_for_log("drift.found", view="copy", aspect="definition")
        assert 'column "no_such" does not exist' in found["drift"]
        daemon.wait_for_log("run.succeeded", view="ticking", since=daemon.mark())
        assert is_ready(daemon)
        assert {event["view"] for event in daemon.log_events("drift.found")} == {"copy"}
        assert daemon.stop() == 0


@pytest.mark.usefixtures("source")
def test_two_daemons_tell_a_drift_once(project: Project, database: Database) -> None:
    project.configure({"copy": materialized(COPY, schedule="manual", comment="as configured")})
    project.apply()
    do_elsewhere(database, "COMMENT ON MATERIALIZED VIEW copy IS 'by hand'")
    with project.daemon() as one, project.daemon() as other:
        for daemon in (one, other):
            wait_until(lambda: metric(daemon, COMMENT) == 1, 30, what="the metric")  # noqa: B023 - called at once
        assert len(one.log_events("drift.found") + other.log_events("drift.found")) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "REFRESH MATERIALIZED VIEW copy",
        pytest.param("REFRESH MATERIALIZED VIEW CONCURRENTLY copy", marks=pytest.mark.pg(">= 15")),
    ],
)
@pytest.mark.usefixtures("source")
def test_somebody_elses_refresh_is_told_and_leaves_as_of(
    project: Project, database: Database, statement: str
) -> None:
    project.configure({"copy": materialized(COPY, schedule="manual")})
    project.apply()
    before = status(project)
    with project.daemon() as daemon:
        wait_until(lambda: metric(daemon, OUTSIDE) == 0, 30, what="the first reading")

        do_elsewhere(database, "UPDATE source SET value = value + 1", statement)
        daemon.wait_for_log("view.refreshed_outside", view="copy")
        wait_until(lambda: metric(daemon, OUTSIDE) == 1, 30, what="the metric")
        after = status(project)
        assert after["refreshed_outside_at"] is not None
        assert after["as_of"] == before["as_of"]
        assert "refreshed outside at 2" in project.run("status").stdout
        assert is_ready(daemon)

        assert project.call("run-now", "copy") == 0
        assert status(project)["refreshed_outside_at"] is None
        wait_until(lambda: metric(daemon, OUTSIDE) == 0, 30, what="the metric")
        assert len(daemon.log_events("view.refreshed_outside")) == 1
        assert daemon.log_events("drift.found") == []
        assert daemon.stop() == 0


@pytest.mark.usefixtures("source")
def test_refreshers_own_are_never_taken_for_somebody_elses(
    project: Project, database: Database
) -> None:
    often = {"schedule": {"every": "1s"}}
    accepted = {"assert": "SELECT accepted FROM verdict"}
    project.configure(
        {
            "concurrently": materialized(COPY, strategy="concurrent", **often),
            "blocking": materialized(COPY, strategy="full", **often),
            "refused": materialized(COPY, strategy="concurrent", checks=accepted, **often),
        }
    )
    do_elsewhere(database, "CREATE TABLE verdict AS SELECT true AS accepted")
    project.apply()
    do_elsewhere(database, "UPDATE verdict SET accepted = false")
    ends = {"concurrently": "run.succeeded", "blocking": "run.succeeded", "refused": "run.failed"}
    with project.daemon() as one, project.daemon() as other, database.connect() as writer:

        def all_have_refreshed() -> bool:
            writer.execute("UPDATE source SET value = value + 1")
            return all(
                len(one.log_events(end, view=view) + other.log_events(end, view=view)) >= 15
                for view, end in ends.items()
            )

        wait_until(all_have_refreshed, 60, what="fifteen refreshes of each view")
        for daemon in (one, other):
            assert daemon.stop() == 0
            assert daemon.log_events("view.refreshed_outside") == []
            assert daemon.log_events("drift.found") == []
