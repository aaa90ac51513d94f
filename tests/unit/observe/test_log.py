import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

import pytest
import structlog

from refresher.errors import FailureReason
from refresher.events import (
    ApplyRefused,
    CheckBroken,
    CheckMended,
    ConfigCurrent,
    ConfigOutdated,
    ConfigRejected,
    ConfigReloaded,
    DaemonStarted,
    DaemonStopped,
    DaemonStopping,
    DatabaseDown,
    DatabaseThrottled,
    DatabaseUnthrottled,
    DatabaseUp,
    DriftFound,
    DriftGone,
    DriftUnknown,
    Event,
    RefreshedOutside,
    RunFinished,
    RunProgressed,
    RunStarted,
    StepEnded,
    ThrottleUnmeasured,
    VerifyMismatch,
    ViewDegraded,
    ViewVacuumed,
)
from refresher.observe.log import configure_logging, log_event
from refresher.runs import Outcome
from tests.snapshots import make_run

EVENTS: list[tuple[Event, str, str]] = [
    (RunStarted(database="crm", run=make_run(outcome=None)), "run.started", "debug"),
    (RunFinished(database="crm", run=make_run()), "run.succeeded", "info"),
    (DatabaseUp(database="crm"), "database.up", "info"),
    (
        DatabaseDown(database="crm", error="refused", retry_in=timedelta(seconds=2)),
        "database.down",
        "error",
    ),
    (
        DatabaseThrottled(database="crm", reason="61 active connections over 50"),
        "database.throttled",
        "warning",
    ),
    (DatabaseUnthrottled(database="crm"), "database.unthrottled", "info"),
    (ThrottleUnmeasured(database="crm", problem="hidden"), "throttle.unmeasured", "warning"),
    (
        ViewVacuumed(
            database="crm",
            view="v",
            command="VACUUM (ANALYZE)",
            reason="900 of 1,000 rows are dead",
            dead_rows=0,
            seconds=0.1,
        ),
        "view.vacuumed",
        "info",
    ),
    (ViewDegraded(database="crm", view="v", problem="gone"), "view.degraded", "warning"),
    *(
        (
            StepEnded(database="crm", step="swap v", outcome=outcome, detail="so", seconds=0.1),
            f"step.{outcome}",
            level,
        )
        for outcome, level in (("done", "info"), ("failed", "error"), ("skipped", "warning"))
    ),
    (ApplyRefused(database="crm", problem="v is a table"), "apply.refused", "error"),
    (
        DriftFound(database="crm", view="v", aspect="owner", message="owned by eve, not crm"),
        "drift.found",
        "warning",
    ),
    (DriftGone(database="crm", view="v", aspect="owner"), "drift.gone", "info"),
    (DriftUnknown(database="crm", problem="no TEMP"), "drift.unknown", "warning"),
    (RefreshedOutside(database="crm", view="v"), "view.refreshed_outside", "info"),
    (
        RunProgressed(database="crm", view="v", rows_done=500, rows_total=9_000),
        "run.progress",
        "info",
    ),
    (
        CheckBroken(database="crm", view="v", check="columns", message="1 of 9 are missing: id"),
        "check.broken",
        "warning",
    ),
    (CheckMended(database="crm", view="v", check="columns"), "check.mended", "info"),
    (
        VerifyMismatch(database="crm", view="v", rows=2, of=1000, keys=("id=1", "id=7")),
        "verify.mismatch",
        "warning",
    ),
    (ConfigReloaded(views=3), "config.reloaded", "info"),
    (ConfigRejected(error="line 3: no"), "config.rejected", "error"),
    (ConfigOutdated(database="crm", views=2, newer="host/2/abc"), "config.outdated", "warning"),
    (ConfigCurrent(database="crm"), "config.current", "info"),
    (DaemonStarted(worker="host/1/abc", listen="http://127.0.0.1:9187"), "daemon.started", "info"),
    (DaemonStopping(signal="SIGTERM", running=1), "daemon.stopping", "info"),
    (DaemonStopped(cancelled=1), "daemon.stopped", "info"),
]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = before


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_every_event_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True, level="debug")

    for event, _, _ in EVENTS:
        log_event(event)

    assert {type(event) for event, _, _ in EVENTS} == set(get_args(Event))
    shown = [(line["event"], line["level"]) for line in lines(capsys)]
    assert shown == [(name, level) for _, name, level in EVENTS]


def test_the_line_of_a_run_is_canonical(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)

    log_event(RunFinished(database="crm", run=make_run()))

    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "run.succeeded",
        "level": "info",
        "database": "crm",
        "view": "customer_sources",
        "trigger": "schedule",
        "attempt": 1,
        "due_at": "2026-03-01T11:59:58+00:00",
        "strategy": "concurrent",
        "reason": "it has a key",
        "outcome": "succeeded",
        "as_of": "2026-03-01T12:00:00+00:00",
        "duration_seconds": 2.0,
        "queue_wait_seconds": 0.25,
        "lock_wait_seconds": 0.125,
        "rows": 15549,
        "rows_inserted": 3,
        "rows_updated": 2,
        "rows_deleted": 1,
        "lateness_seconds": 1.0,
    }


@pytest.mark.parametrize(
    ("reason", "level"),
    [
        (FailureReason.LOCK_TIMEOUT, "warning"),
        (FailureReason.LOST, "warning"),
        (FailureReason.CONNECTION, "warning"),
        (FailureReason.PERMISSION, "error"),
        (FailureReason.CHECK, "error"),
        (FailureReason.DEFINITION, "error"),
        (FailureReason.NOT_UNIQUE, "error"),
    ],
)
def test_a_failure_that_needs_somebody_is_an_error(
    reason: FailureReason, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(json=True)
    run = make_run(outcome=Outcome.FAILED, failure=reason, error="it did not work", as_of=None)

    log_event(RunFinished(database="crm", run=run))

    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("run.failed", level)
    assert (line["failure"], line["error"]) == (reason.value, "it did not work")
    assert "as_of" not in line


def test_debug_is_silent_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)

    log_event(RunStarted(database="crm", run=make_run(outcome=None)))

    assert lines(capsys) == []


def test_off_a_terminal_it_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()

    log_event(DatabaseUp(database="crm"))

    assert [line["event"] for line in lines(capsys)] == ["database.up"]


def test_no_secret_is_logged_in_either_form(capsys: pytest.CaptureFixture[str]) -> None:
    event = DatabaseDown(
        database="crm", error="bad conninfo password=hunter2 host=db", retry_in=timedelta()
    )

    for as_json in (True, False):
        configure_logging(json=as_json)
        log_event(event)

    shown = capsys.readouterr().err
    assert shown.count("database.down") == 2
    assert "hunter2" not in shown


def test_what_is_logged_can_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=False)

    log_event(ConfigRejected(error="\x1b[2Jgone\nrun.succeeded view=forged"))

    shown = capsys.readouterr().err
    assert "gone" in shown
    assert shown.count("\n") == 1
    assert "\x1b[2J" not in shown


def test_a_broken_stderr_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logging(json=True)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)

    log_event(DatabaseUp(database="crm"))

    with pytest.raises(ValueError, match="closed"):
        closed.write("")


def test_lines_of_many_threads_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    event = DatabaseUp(database="crm" * 200)

    def log() -> None:
        for _ in range(50):
            log_event(event)

    threads = [threading.Thread(target=log) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lines(capsys)) == 200


def test_libraries_log_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)

    logging.getLogger("some.library").info("all is well")
    try:
        int("password=hunter2")
    except ValueError:
        logging.getLogger("some.library").exception("it went wrong: %s", "password=hunter2")

    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("library.warned", "error")
    assert (line["library"], line["message"]) == ("some.library", "it went wrong: password=…")
    assert "ValueError" in line["exception"]
    assert "hunter2" not in line["exception"]
