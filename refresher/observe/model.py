"""What is known of a database and its views at one moment, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from refresher import freshness
from refresher.catalog.model import RELATION_KINDS
from refresher.config.model import View
from refresher.freshness import State
from refresher.runs import Run
from refresher.store.drift import Watched
from refresher.store.state import ViewState
from refresher.store.verdicts import BrokenCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSnapshot:
    """One view. Times are the database's; only what changes by itself takes a `now`."""

    view: View
    stored: ViewState
    live: bool
    """Whether it is a plain view with nothing refreshed above: it reads base tables as they are."""
    fixed_data_as_of: datetime | None
    """data_as_of until the next refresh; None if it is unknown, or moves on because it is live."""
    oldest: tuple[str, ...]
    """The views from this one down to the one whose as_of is its data_as_of, or is unknown."""
    max_staleness: timedelta | None
    last_run: Run | None
    """The newest one, which may be open."""
    last_ended: Run | None
    """The newest one that succeeded or failed: a cancelled one says nothing about the view."""
    last_success_at: datetime | None
    consecutive_failures: int
    rows: int | None
    bytes: int | None
    dead_rows: int | None
    next_due_at: datetime | None
    """A pending due instant, or the schedule's next; None if nobody can tell."""
    waiting: str | None
    """Why it is not being refreshed although it could be, in words."""
    tallies: Mapping[tuple[str, str], int]
    """(metric, label) → count, as `refresher.tally` keeps them."""
    broken_checks: tuple[BrokenCheck, ...]
    """Those of its configured checks that are broken now."""
    watched: Watched
    """What others did to it."""

    @property
    def missing(self) -> bool:
        """Whether nothing, or something of another kind, stands under its name."""
        return self.stored.relation_kind != RELATION_KINDS[self.view.kind]

    @property
    def paused(self) -> bool:
        """Whether its schedule is held."""
        return self.stored.paused_until is not None

    @property
    def running_since(self) -> datetime | None:
        """When the refresh in flight began; None if there is none."""
        if self.stored.running and self.last_run is not None and self.last_run.outcome is None:
            return self.last_run.started_at
        return None

    def data_as_of(self, now: datetime) -> datetime | None:
        """Everything committed before it shows in the view, down to the base tables."""
        return now if self.live else self.fixed_data_as_of

    def staleness(self, now: datetime) -> timedelta | None:
        """How far the view is behind the base tables."""
        return freshness.staleness(self.data_as_of(now), now)

    def state(self, now: datetime) -> State:
        """Its staleness, judged."""
        return freshness.state(self.staleness(now), self.view.target_lag, self.max_staleness)

    def as_json(self, now: datetime) -> dict[str, Any]:
        """The row that `refresher status` prints; times are ISO 8601."""
        return {
            "database": self.view.database,
            "view": self.view.name,
            "relation": str(self.view.place),
            "kind": self.view.kind.value,
            "state": self.state(now).value,
            "as_of": _text(self.stored.as_of),
            "data_as_of": _text(self.data_as_of(now)),
            "staleness_seconds": _seconds(self.staleness(now)),
            "target_lag_seconds": _seconds(self.view.target_lag),
            "max_staleness_seconds": _seconds(self.max_staleness),
            "last_run": self.last_run and self.last_run.as_json(),
            "next_due_at": _text(self.next_due_at),
            "waiting": self.waiting,
            "paused": self.paused,
            "running": self.stored.running,
            "broken_checks": [_check_as_json(broken) for broken in self.broken_checks],
            "drift": self._drift_as_json(),
            "drift_looked_at": _text(self.watched.looked_at),
            "drift_problem": self.watched.problem,
            "refreshed_outside_at": _text(self.watched.refreshed_outside_at),
        }

    def _drift_as_json(self) -> list[dict[str, Any]] | None:
        """None if it was never looked for."""
        if self.watched.looked_at is None:
            return None
        return [
            {
                "aspect": drift.aspect,
                "message": drift.message,
                "found_at": drift.found_at.isoformat(),
            }
            for drift in self.watched.drift
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSnapshot:
    """One database and its managed views, as read at one moment."""

    database: str
    """Its alias."""
    read_at: datetime
    """When, by the database's clock."""
    read_at_monotonic: float
    """The same moment by `time.monotonic()`, which goes on while the database is away."""
    clock_offset: float
    """Seconds by which the database's clock is ahead of ours, measured around a round trip."""
    read_seconds: float
    """How long the reading took."""
    views: Mapping[str, ViewSnapshot]
    replicas: int
    unmanaged_views: int

    def now(self, monotonic: float) -> datetime:
        """The database's time at an instant of `time.monotonic()`."""
        return self.read_at + timedelta(seconds=monotonic - self.read_at_monotonic)


def _check_as_json(broken: BrokenCheck) -> dict[str, str]:
    return {
        "check": broken.check,
        "message": broken.message,
        "broken_since": broken.broken_since.isoformat(),
        "checked_at": broken.checked_at.isoformat(),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
