"""Real daemons, a real Prometheus: whatever dashboards and rules ask for is there."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from tests.acceptance.process import RefresherProcess
from tests.acceptance.prometheus import DEPLOY, Prometheus, prometheus
from tests.acceptance.web import get
from tests.conftest import Database
from tests.programs import find_program
from tests.project import Project, materialized
from tests.waiting import wait_until

EXPRESSIONS = {
    f"{panel['title']}, {target['refId']}": target["expr"]
    for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
    for panel in json.loads(path.read_text())["panels"]
    for target in panel["targets"]
}
pytestmark = pytest.mark.timeout(300)  # daemons and a Prometheus are started and waited for

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


@dataclass(frozen=True)
class Site:
    """Two replicas with a view in every condition, and the Prometheus that watches them."""

    daemons: tuple[RefresherProcess, ...]
    prometheus: Prometheus
    project: Project


@pytest.fixture
def site(project: Project, database: Database) -> Iterator[Site]:
    numbers = "SELECT id FROM generate_series(1, 10) AS id"
    hourly = {"every": "1h"}
    project.configure(
        {
            "fresh": materialized(numbers, schedule={"every": "1s"}),
            "stale": materialized(numbers, schedule="manual", max_staleness="1s"),
            "broken": materialized(
                "SELECT id, 1 / divisor AS quotient FROM divisors", schedule={"every": "1s"}
            ),
            "paused": materialized(numbers, schedule=hourly),
            "aimed": materialized(numbers, schedule={"target_lag": "1h"}),
            "unpopulated": materialized(numbers, schedule="manual", checks={"min_rows": 11}),
            "plain": {"kind": "view", "query": "SELECT id FROM fresh"},
        }
    )
    with database.connect() as connection:
        connection.execute("CREATE TABLE divisors AS SELECT 1 AS id, 1 AS divisor")
        project.run("apply")
        connection.execute("UPDATE divisors SET divisor = 0")
    assert project.run("pause", "paused", "--for", "4h").code == 0
    with ExitStack() as stack:
        daemons = tuple(stack.enter_context(project.daemon()) for _ in range(2))
        watcher = stack.enter_context(prometheus(*map(address_of, daemons)))
        site = Site(daemons, watcher, project)
        wait_until(
            lambda: watcher.value(
                'count(refresher:view_consecutive_failures:max{view="broken"} > 2)'
            ),
            90,
            what="the broken view to fail three times",
        )
        wait_until(
            lambda: watcher.query("refresher:view_refresh_runs:increase1h > 0"),
            90,
            what="a refresh to be seen",
        )
        yield site


def address_of(daemon: RefresherProcess) -> str:
    (started,) = daemon.log_events("daemon.started")
    return str(started["listen"].removeprefix("http://"))


@pytest.mark.program("prometheus")
def test_every_expression_of_dashboards_and_rules_finds_series(site: Site) -> None:
    watcher = site.prometheus

    for rule in watcher.rules():
        assert rule["health"] == "ok", rule
        if rule["type"] == "recording":
            wait_until(partial(watcher.query, rule["name"]), what=rule["name"])
    for panel, expression in EXPRESSIONS.items():
        chosen = expression.replace("$database", "crm")
        assert "$" not in chosen
        assert watcher.query(chosen), panel
        other = expression.replace("$database", "shop")
        assert {series[""] for series in watcher.query(other)} <= {0.0}, panel


@pytest.mark.program("prometheus")
def test_what_they_show_is_true(site: Site) -> None:
    _overview_is_true(site.prometheus)
    _replicas_count_once(site.prometheus)
    _staleness_is_the_same_by_every_road(site)
    _alerts_fire(site.prometheus)
    for target in site.prometheus.targets():
        assert (target["health"], target["lastError"]) == ("up", "")
        assert target["lastScrapeDuration"] < 1


def _overview_is_true(watcher: Prometheus) -> None:
    numbers = {
        panel: watcher.value(expression.replace("$database", ".*"))
        for panel, expression in EXPRESSIONS.items()
        if expression.startswith("count(")
    }
    assert numbers == {
        "Over their limit, A": 1,
        "Failing, A": 2,
        "Paused, A": 1,
        "Unknown, A": 1,
        "Databases down, A": 0,
        "Throttled, A": 0,
    }
    states = watcher.query("refresher:view_state:max == 1")
    assert {series["view"]: series["state"] for series in states} == {
        "fresh": "fresh",
        "stale": "stale",
        "broken": "fresh",
        "paused": "fresh",
        "aimed": "fresh",
        "unpopulated": "unknown",
        "plain": "fresh",
    }


def _replicas_count_once(watcher: Prometheus) -> None:
    assert watcher.value("count(refresher_build_info)") == 2
    assert watcher.value('count(refresher:view_rows:max{view="fresh"})') == 1
    assert watcher.value("max(refresher_replicas)") == 2


def _staleness_is_the_same_by_every_road(site: Site) -> None:
    began = time.monotonic()
    shown = {row["view"]: row for row in site.project.run("status", "--json").json()}
    ours = site.prometheus.value('max(refresher_view_staleness_seconds{view="stale"})')
    theirs = site.prometheus.value('refresher:view_staleness_seconds:max{view="stale"}')
    passed = time.monotonic() - began

    stated = shown["stale"]["staleness_seconds"]
    assert ours is not None
    assert theirs is not None
    # A scrape, and a rule, may be half a second old and more.
    assert stated - 3 < ours < stated + passed
    assert stated - 3 < theirs < stated + passed


def _alerts_fire(watcher: Prometheus) -> None:
    def views(alert: str) -> set[str]:
        (rule,) = [rule for rule in watcher.rules() if rule["name"] == alert]
        return {active["labels"].get("view", "") for active in rule["alerts"]}

    assert views("RefresherDaemonAbsent") == views("RefresherDatabaseDown") == set()
    # It has no limit.
    assert views("RefresherViewUnknown") == set()
    wait_until(lambda: views("RefresherViewStale") == {"stale"}, what="the alert")
    assert views("RefresherViewRefreshFailing") == {"broken", "unpopulated"}
    assert views("RefresherCheckBroken") == {"unpopulated"}


@pytest.mark.program("promtool")
def test_metrics_are_as_promtool_likes_them(project: Project) -> None:
    project.configure({"numbers": materialized("SELECT 1 AS id", schedule={"every": "1s"})})
    with project.daemon("--apply") as daemon:
        daemon.wait_for_log("run.succeeded", view="numbers")
        wait_until(lambda: "refresher_view_info{" in get(daemon, "/metrics"), what="the view")
        checked = subprocess.run(
            [find_program("promtool"), "check", "metrics"],
            input=get(daemon, "/metrics"),
            text=True,
            capture_output=True,
            check=False,
        )
        url = f"http://{address_of(daemon)}/metrics"
        openmetrics = httpx.get(url, headers=OPENMETRICS, trust_env=False)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")
