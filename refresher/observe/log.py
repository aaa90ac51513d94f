"""What happened, as log lines: one canonical line a run, and one for every other event.

JSON where nobody looks at a terminal, colours where somebody does; always to stderr.
"""

import contextlib
import logging
import sys
from typing import Any, Literal, TypeAlias, assert_never

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

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
from refresher.observe.redaction import masked_field
from refresher.refresh.retry import may_pass
from refresher.runs import Outcome, Run

Level: TypeAlias = Literal["debug", "info", "warning", "error"]


def configure_logging(*, json: bool | None = None, level: Level = "info") -> None:
    """Set up logging for this process; what libraries log takes the same road.

    `json` None means JSON unless stderr is a terminal.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    rendering: list[Processor] = (
        [structlog.processors.JSONRenderer(ensure_ascii=False)]
        if as_json
        else [
            _printable,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                sort_keys=False,
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask,
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_to_stderr,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(logging.WARNING)


def log_event(event: Event) -> None:
    """Log an event. Never raises: a full disk under the log must not end a refresh."""
    with contextlib.suppress(Exception):
        level, name, fields = _line(event)
        _log(level, name, fields)


def _log(level: Level, name: str, fields: dict[str, Any]) -> None:
    present = {field: value for field, value in fields.items() if value is not None}
    getattr(structlog.get_logger(), level)(name, **present)


def _line(event: Event) -> tuple[Level, str, dict[str, Any]]:  # noqa: C901, PLR0911, PLR0912 - a case an event
    match event:
        case RunStarted(database=database, run=run):
            return "debug", "run.started", {"database": database, **_run_begun(run)}
        case RunProgressed(database=database, view=view, rows_done=done, rows_total=total):
            fields = {"database": database, "view": view, "rows_done": done, "rows_total": total}
            return "info", "run.progress", fields
        case RunFinished(database=database, run=run, lateness=lateness):
            fields = {"database": database, **_run_ended(run), "lateness_seconds": lateness}
            return _level_of(run), f"run.{run.outcome}", fields
        case DatabaseUp(database=database):
            return "info", "database.up", {"database": database}
        case DatabaseDown(database=database, error=error, retry_in=retry_in):
            fields = {"database": database, "error": error, "retry_in_seconds": retry_in}
            return "error", "database.down", fields
        case DatabaseThrottled(database=database, reason=reason):
            return "warning", "database.throttled", {"database": database, "reason": reason}
        case DatabaseUnthrottled(database=database):
            return "info", "database.unthrottled", {"database": database}
        case ThrottleUnmeasured(database=database, problem=problem):
            fields = {"database": database, "problem": problem}
            return "warning", "throttle.unmeasured", fields
        case ViewVacuumed():
            return "info", "view.vacuumed", _vacuumed(event)
        case ViewDegraded(database=database, view=view, problem=problem):
            fields = {"database": database, "view": view, "problem": problem}
            return "warning", "view.degraded", fields
        case StepEnded(outcome=outcome):
            return _level_of_step(outcome), f"step.{outcome}", _step_ended(event)
        case ApplyRefused(database=database, problem=problem):
            return "error", "apply.refused", {"database": database, "problem": problem}
        case DriftFound(database=database, view=view, aspect=aspect, message=message):
            fields = {"database": database, "view": view, "aspect": aspect, "drift": message}
            return "warning", "drift.found", fields
        case DriftGone(database=database, view=view, aspect=aspect):
            return "info", "drift.gone", {"database": database, "view": view, "aspect": aspect}
        case DriftUnknown(database=database, problem=problem):
            return "warning", "drift.unknown", {"database": database, "problem": problem}
        case RefreshedOutside(database=database, view=view):
            return "info", "view.refreshed_outside", {"database": database, "view": view}
        case CheckBroken(database=database, view=view, check=check, message=message):
            fields = {"database": database, "view": view, "check": check, "problem": message}
            return "warning", "check.broken", fields
        case CheckMended(database=database, view=view, check=check):
            return "info", "check.mended", {"database": database, "view": view, "check": check}
        case VerifyMismatch(database=database, view=view, rows=rows, of=of, keys=keys):
            fields = {"database": database, "view": view, "rows": rows, "of": of, "keys": keys}
            return "warning", "verify.mismatch", fields
        case ConfigReloaded(views=views, note=note):
            return "info", "config.reloaded", {"views": views, "note": note}
        case ConfigRejected(error=error):
            return "error", "config.rejected", {"error": error}
        case ConfigOutdated(database=database, views=views, newer=newer):
            fields = {"database": database, "views_left": views, "newer": newer}
            return "warning", "config.outdated", fields
        case ConfigCurrent(database=database):
            return "info", "config.current", {"database": database}
        case DaemonStarted(worker=worker, listen=listen):
            return "info", "daemon.started", {"worker": worker, "listen": listen}
        case DaemonStopping(signal=signal, running=running):
            return "info", "daemon.stopping", {"signal": signal, "running": running}
        case DaemonStopped(cancelled=cancelled):
            return "info", "daemon.stopped", {"cancelled": cancelled}
        case other:
            assert_never(other)


def _level_of(run: Run) -> Level:
    match run.outcome:
        case Outcome.SUCCEEDED | Outcome.UNCHANGED | None:
            return "info"
        case Outcome.CANCELLED:
            return "warning"
        case Outcome.FAILED:
            # What does not pass by itself waits for somebody to do something.
            return "warning" if run.failure is not None and may_pass(run.failure) else "error"
        case other:
            assert_never(other)


def _level_of_step(outcome: str) -> Level:
    match outcome:
        case "done":
            return "info"
        case "skipped":
            return "warning"
        case _:
            return "error"


def _step_ended(step: StepEnded) -> dict[str, Any]:
    return {
        "database": step.database,
        "step": step.step,
        "detail": step.detail,
        "duration_seconds": step.seconds,
    }


def _vacuumed(event: ViewVacuumed) -> dict[str, Any]:
    return {
        "database": event.database,
        "view": event.view,
        "command": event.command,
        "reason": event.reason,
        "dead_rows": event.dead_rows,
        "duration_seconds": event.seconds,
    }


def _run_begun(run: Run) -> dict[str, Any]:
    return {
        "view": run.view,
        "trigger": run.trigger,
        "attempt": run.attempt,
        "due_at": run.due_at,
        "strategy": run.strategy,
        "reason": run.reason,
    }


def _run_ended(run: Run) -> dict[str, Any]:
    return {
        **_run_begun(run),
        "outcome": run.outcome,
        "as_of": run.as_of,
        "duration_seconds": run.duration_seconds,
        "queue_wait_seconds": run.queue_wait_seconds,
        "lock_wait_seconds": run.lock_wait_seconds,
        "rows": run.rows,
        "rows_inserted": run.rows_inserted,
        "rows_updated": run.rows_updated,
        "rows_deleted": run.rows_deleted,
        "failure": run.failure,
        "error": run.error,
    }


def _to_stderr(*_: object) -> WrappedLogger:
    return structlog.PrintLogger(sys.stderr)


def _mask(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    return {name: masked_field(name, value) for name, value in fields.items()}


def _printable(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """For people: times to the millisecond, and nothing that could steer the terminal."""
    return {name: _shown(name, value) for name, value in fields.items()}


def _shown(name: str, value: object) -> object:
    match value:
        case str():
            return _escaped(value, keep="\n" if name == "exception" else "")
        case float():
            return round(value, 3)
        case _:
            return value


def _escaped(text: str, *, keep: str) -> str:
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode()
        for character in text
    )


class _LibraryHandler(logging.Handler):
    """Takes what libraries log through the standard library to where everything goes."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            level: Level = "error" if record.levelno >= logging.ERROR else "warning"
            exception = record.exc_info if record.exc_info and record.exc_info[0] else None
            fields = {
                "library": record.name,
                "message": record.getMessage(),
                "exc_info": exception,
            }
            _log(level, "library.warned", fields)
