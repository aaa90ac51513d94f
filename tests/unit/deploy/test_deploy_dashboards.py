import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
NAME = re.compile(r"\brefresher[_:][\w:]+")


def recorded() -> set[str]:
    return {
        rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule
    }


PANELS = [
    pytest.param(panel, id=f"{path.stem}: {panel['title']}")
    for path in DASHBOARDS
    for panel in json.loads(path.read_text())["panels"]
]


@pytest.mark.filterwarnings("ignore:Prefer using dashboardv2:DeprecationWarning")
def test_dashboards_are_what_the_code_builds() -> None:
    spec = importlib.util.spec_from_file_location("build", DEPLOY / "grafana" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)

    written = {path.name: path.read_text() for path in DASHBOARDS}

    assert written == build.render(), "run python deploy/grafana/build.py"


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        assert source == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("panel", PANELS)
def test_panels_read_only_recording_rules_of_views(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        names = set(NAME.findall(target["expr"]))
        assert names
        assert names <= recorded()
        assert 'database=~"$database"' in target["expr"]


def test_panels_do_not_overlap() -> None:
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            at = panel["gridPos"]
            cells = {
                (at["x"] + column, at["y"] + row)
                for column in range(at["w"])
                for row in range(at["h"])
            }
            assert not cells & taken, panel["title"]
            assert at["x"] + at["w"] <= 24
            taken |= cells


def test_alerts_read_only_recording_rules_of_views() -> None:
    for alert in alerts():
        of_views = {name for name in NAME.findall(alert["expr"]) if "view" in name}
        assert of_views <= recorded(), alert["alert"]


def alerts() -> list[dict[str, Any]]:
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    return [rule for rule in rules if "alert" in rule]


def test_every_alert_explains_itself() -> None:
    assert {alert["alert"] for alert in alerts()} == {
        "RefresherDaemonAbsent",
        "RefresherDatabaseDown",
        "RefresherViewStale",
        "RefresherViewUnknown",
        "RefresherViewRefreshFailing",
        "RefresherCheckBroken",
        "RefresherVerifyMismatch",
        "RefresherDrift",
        "RefresherThrottledLong",
        "RefresherConfigOutdated",
    }
    for alert in alerts():
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert alert["annotations"]["summary"]
        assert alert["annotations"]["description"]


def test_every_runbook_address_leads_to_a_heading() -> None:
    for alert in alerts():
        path, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        text = (DEPLOY.parent / path).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        # GitHub's rule for anchors, as far as these headings need it.
        anchors = {heading.lower().replace(" ", "-") for heading in headings}
        assert anchor == alert["alert"].lower()
        assert anchor in anchors


def test_every_alert_is_tested_both_ways() -> None:
    tests = yaml.safe_load((DEPLOY / "prometheus" / "rules_test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", [])]

    for alert in alerts():
        fires = {
            bool(case.get("exp_alerts")) for case in cases if case["alertname"] == alert["alert"]
        }
        assert fires == {True, False}, alert["alert"]
