import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from refresher.demo.incident import Reading
from refresher.demo.report import Report, comparison, outcome
from refresher.runs import Outcome, Run, Trigger

DIED = Reading(role="authenticator", seconds=8.004, sqlstate="57014")
COUNTED = Reading(role="service_role", seconds=0.031, rows=15_549)
CURED = Reading(role="authenticator", seconds=0.0024, rows=50)
NOON = datetime(2025, 11, 21, 12, tzinfo=UTC)
RUN = Run(
    id=7,
    view="customer_sources",
    due_at=NOON,
    trigger=Trigger.POPULATE,
    attempt=1,
    started_at=NOON,
    worker="w",
    outcome=Outcome.SUCCEEDED,
    as_of=NOON,
)


def test_a_program_gets_the_readings_and_the_runs() -> None:
    report = Report(before=DIED, count=COUNTED, after=CURED, runs=[RUN])
    assert report.as_json() == {
        "before": {"role": "authenticator", "sqlstate": "57014", "seconds": 8.004},
        "count": {"role": "service_role", "rows": 15_549, "seconds": 0.031},
        "after": {"role": "authenticator", "rows": 50, "seconds": 0.0024},
        "runs": [RUN.as_json()],
    }


def test_a_read_that_did_not_die_has_no_sqlstate() -> None:
    survived = replace(DIED, sqlstate=None, rows=50)
    report = Report(before=survived, count=COUNTED, after=CURED, runs=[])
    assert report.as_json()["before"]["sqlstate"] is None


def test_outcomes_in_words() -> None:
    assert outcome(DIED) == "died after 8.0s: statement timeout (57014)"
    assert outcome(COUNTED) == "15,549 rows in 31ms"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_before_and_after_stand_side_by_side_on_any_terminal(width: int) -> None:
    shown = io.StringIO()
    Console(file=shown, width=width).print(comparison(DIED, COUNTED, CURED))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert any("before" in line and "after" in line for line in lines)
    assert "57014" in shown.getvalue()
