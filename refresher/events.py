"""What happened, as frozen records. The core emits them; observers listen. Ground floor, pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from refresher.runs import Run, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A refresh holds its fence and begins to work: `run.started`."""

    database: str
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgressed:
    """Columns are being filled, and this is how far: `run.progress`."""

    database: str
    view: str
    rows_done: int
    rows_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """A run ended and its record is committed: `run.succeeded`, `run.failed` and so on."""

    database: str
    run: Run

    @property
    def lateness(self) -> timedelta | None:
        """From the due instant to the start of the work; None but for scheduled first attempts."""
        if self.run.trigger is not Trigger.SCHEDULE or self.run.attempt != 1:
            return None
        return self.run.started_at - self.run.due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUp:
    """A database answers, for the first time or again: `database.up`."""

    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseDown:
    """A database does not answer: `database.down`."""

    database: str
    error: str
    retry_in: timedelta | None
    """When it is tried again; None while an answer may still come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseThrottled:
    """A limit of its throttle is exceeded, so scheduled refreshes wait: `database.throttled`."""

    database: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUnthrottled:
    """No limit of its throttle is exceeded any more: `database.unthrottled`."""

    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleUnmeasured:
    """What a throttle limits can't be measured, or not in full: `throttle.unmeasured`."""

    database: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewVacuumed:
    """A view was vacuumed, analysed or both after its refreshes: `view.vacuumed`."""

    database: str
    view: str
    command: str
    """What was done, such as `VACUUM (ANALYZE)`."""
    reason: str
    dead_rows: int
    """Those left, as PostgreSQL estimates them: of no use to anybody, or still seen by somebody."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewDegraded:
    """A view can't be refreshed as things stand; the others go on: `view.degraded`."""

    database: str
    view: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """A step of an apply ended: `step.done`, `step.failed` or `step.skipped`."""

    database: str
    step: str
    """What it does, in a few words."""
    outcome: str
    detail: str | None
    """What there is to say: rows and time, the error, or what it waits for."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRefused:
    """The definitions can't be applied as things stand; nothing was changed: `apply.refused`."""

    database: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFound:
    """The catalog differs from a view's definition, in another way than before: `drift.found`."""

    database: str
    view: str
    aspect: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftGone:
    """The catalog no longer differs from a view's definition in this aspect: `drift.gone`."""

    database: str
    view: str
    aspect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftUnknown:
    """The views can't be compared with their definitions as things stand: `drift.unknown`."""

    database: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshedOutside:
    """Somebody else's refresh of a view was seen: `view.refreshed_outside`."""

    database: str
    view: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBroken:
    """A plain view breaks a check, or breaks it in another way than before: `check.broken`."""

    database: str
    view: str
    check: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckMended:
    """A plain view meets a check that it broke before: `check.mended`."""

    database: str
    view: str
    check: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyMismatch:
    """Rows differ from what the query returns in the same snapshot: `verify.mismatch`."""

    database: str
    view: str
    rows: int
    of: int
    """How many were compared."""
    keys: tuple[str, ...]
    """The first few, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigReloaded:
    """A changed configuration is in force: `config.reloaded`."""

    views: int
    note: str | None = None
    """What of it is not in force yet, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRejected:
    """A changed configuration is invalid; the old one stays in force: `config.rejected`."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigOutdated:
    """Another daemon has a newer configuration, and is left the views in it: `config.outdated`."""

    database: str
    views: int
    """How many are left to it."""
    newer: str
    """The daemon that has it, by its name as a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigCurrent:
    """No other daemon has a newer configuration of these views any more: `config.current`."""

    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStarted:
    """The daemon is up: `daemon.started`."""

    worker: str
    listen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStopping:
    """The daemon starts nothing more and drains: `daemon.stopping`."""

    signal: str
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStopped:
    """The daemon has ended: `daemon.stopped`."""

    cancelled: int


Event: TypeAlias = (
    RunStarted
    | RunProgressed
    | RunFinished
    | DatabaseUp
    | DatabaseDown
    | DatabaseThrottled
    | DatabaseUnthrottled
    | ThrottleUnmeasured
    | ViewVacuumed
    | ViewDegraded
    | StepEnded
    | ApplyRefused
    | DriftFound
    | DriftGone
    | DriftUnknown
    | RefreshedOutside
    | CheckBroken
    | CheckMended
    | VerifyMismatch
    | ConfigReloaded
    | ConfigRejected
    | ConfigOutdated
    | ConfigCurrent
    | DaemonStarted
    | DaemonStopping
    | DaemonStopped
)
Listener: TypeAlias = Callable[[Event], None]
