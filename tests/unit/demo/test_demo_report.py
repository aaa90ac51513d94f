import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from refresher.demo.incident import Reading, Readings
from refresher.demo.picture import status, told
from refresher.demo.report import Report, comparison, line, outcome
from refresher.errors import FailureReason
from refresher.graph import Graph
from refresher.runs import Outcome, Trigger
from tests.snapshots import (
    NOON,
    make_plain_view,
    make_run,
    make_snapshot,
    make_stored,
    make_view_snapshot,
)

DIED = Reading(role="authenticator", seconds=8.004, sqlstate="57014")
COUNTED = Reading(role="service_role", seconds=0.031, rows=15_549)
CURED = Reading(role="authenticator", seconds=0.0024, rows=50)
BEFORE = Readings(page=DIED, count=COUNTED)
AFTER = Readings(page=CURED, count=replace(COUNTED, seconds=0.029))
RUN = make_run(trigger=Trigger.POPULATE)

READS = {"customers_crm_v": frozenset({"customer_sources"}), "customer_sources": frozenset[str]()}
GRAPH = Graph(READS, frozenset({"customer_sources"}))
EVERY = timedelta(seconds=10)


def shown(part: RenderableType, width: int = 100) -> str:
    screen = io.StringIO()
    Console(file=screen, width=width).print(part)
    return screen.getvalue()


def shown_status(width: int, **changes: Any) -> str:
    views = [
        make_view_snapshot(**changes),
        make_view_snapshot(
            make_plain_view(),
            stored=make_stored(make_plain_view()),
            fixed_data_as_of=NOON,
            live=False,
        ),
    ]
    now = NOON + timedelta(seconds=4)
    return shown(status(make_snapshot(views), GRAPH, now, full=EVERY, width=width), width)


def test_a_program_gets_the_readings_and_the_runs() -> None:
    report = Report(before=BEFORE, after=AFTER, runs=[RUN])
    assert report.as_json() == {
        "before": {"role": "authenticator", "sqlstate": "57014", "seconds": 8.004},
        "count": {"role": "service_role", "rows": 15_549, "seconds": 0.031},
        "after": {"role": "authenticator", "rows": 50, "seconds": 0.0024},
        "runs": [RUN.as_json()],
    }


def test_a_read_that_did_not_die_has_no_sqlstate() -> None:
    survived = replace(BEFORE, page=replace(DIED, sqlstate=None, rows=50))
    report = Report(before=survived, after=AFTER, runs=[])
    assert report.as_json()["before"]["sqlstate"] is None


def test_outcomes_in_words() -> None:
    assert outcome(DIED).plain == "died after 8.0s (57014)"
    assert outcome(COUNTED).plain == "15,549 rows in 31ms"


@pytest.mark.parametrize("width", [40, 60, 120])
@pytest.mark.parametrize(
    "show",
    [
        lambda _: comparison(BEFORE, AFTER),
        lambda _: line("customer_sources", "created, populated: 15,549 rows in 230ms"),
        lambda _: told(make_run(), EVERY, timedelta(milliseconds=263)),
    ],
)
def test_everything_fits_any_terminal(width: int, show: Callable[[int], RenderableType]) -> None:
    assert max(map(len, shown(show(width), width).splitlines())) <= width


@pytest.mark.parametrize("width", [60, 120])
def test_before_and_after_stand_side_by_side(width: int) -> None:
    lines = shown(comparison(BEFORE, AFTER), width).splitlines()
    assert "before" in lines[0]
    assert "after" in lines[0]
    assert "died after" in lines[1]
    assert "50 rows in 2ms" in lines[1]


@pytest.mark.parametrize("width", [60, 120])
def test_the_status_tells_how_stale_each_view_is_and_why(width: int) -> None:
    text = shown_status(width)
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert max(map(len, lines.values())) <= width
    assert lines["customer_sources"].split()[1:3] == ["fresh", "4.0s"]
    assert lines["customers_crm_v"].split()[1:3] == ["fresh", "4.0s"]
    assert "concurrent, 2.0s" in lines["customer_sources"]
    assert "reads customer_sources" in lines["customers_crm_v"]


def test_a_wide_terminal_has_room_for_bars() -> None:
    assert "\u2501" in shown_status(100)
    assert "\u2501" not in shown_status(79)


def test_a_view_that_is_being_refreshed_says_so() -> None:
    running = make_run(outcome=None, finished_at=None, duration_seconds=None)
    stored = make_stored(make_view_snapshot().view, running=True)
    assert "refreshing now" in shown_status(100, last_run=running, stored=stored)


def test_a_refresh_is_told_by_what_it_did_to_staleness() -> None:
    text = shown(told(make_run(), EVERY, timedelta(milliseconds=263)))
    assert "staleness 10.0s -> 263ms (concurrent, 2.0s, 6 rows)" in text


def test_a_failure_is_told_with_its_error() -> None:
    failed = make_run(
        outcome=Outcome.FAILED, failure=FailureReason.LOCK_TIMEOUT, error="canceling statement"
    )
    assert "failed: canceling statement" in shown(told(failed, EVERY, EVERY))
    cancelled = make_run(outcome=Outcome.CANCELLED)
    assert shown(told(cancelled, EVERY, EVERY)).split() == ["customer_sources", "cancelled"]
