"""The metrics of a view: every family's name, meaning, labels, and where its numbers come from.

The public contract of `/metrics`, with docs/metrics.md; renaming anything here breaks dashboards.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import product
from typing import assert_never

from refresher.config.model import AfterUpstream, Cron, Every, Manual, Schedule, TargetLag
from refresher.definitions.compare import Aspect
from refresher.durations import format_duration
from refresher.errors import FailureReason
from refresher.freshness import State
from refresher.observe.family import (
    Sample,
    ViewFamily,
    counter,
    gauge,
    moving_gauge,
    of_last_ended,
    of_refreshed,
)
from refresher.observe.model import ViewSnapshot
from refresher.runs import Outcome, Strategy


def run_ends(strategies: Iterable[Strategy]) -> Iterator[tuple[str, str]]:
    """Every (strategy, outcome) a run can end with."""
    for strategy, outcome in product(strategies, Outcome):
        yield strategy.value, outcome.value
    # It may end before a strategy is chosen.
    yield "", Outcome.FAILED.value
    yield "", Outcome.CANCELLED.value


_STATE_LABELS = [(state, (state.value,)) for state in State]
_OPERATIONS = ("insert", "update", "delete")


def _info(view: ViewSnapshot, _: datetime) -> Iterable[Sample]:
    config = view.view
    schedule = schedule_in_words(config.schedule) if config.refreshed else ""
    strategy = str(config.strategy) if config.refreshed else ""
    owner = view.stored.owner or ""
    return (((str(config.place), config.kind.value, strategy, schedule, owner), 1),)


def _states(view: ViewSnapshot, now: datetime) -> Iterable[Sample]:
    current = view.state(now)
    return [(label, int(state is current)) for state, label in _STATE_LABELS]


def _drift(view: ViewSnapshot, _: datetime) -> Iterable[Sample]:
    if view.watched.looked_at is None:
        return ((("missing",), int(view.missing)),)
    found = {drift.aspect for drift in view.watched.drift}
    # That it is missing is known at once, all the rest of the last look.
    found = found | {"missing"} if view.missing else found - {"missing"}
    return [((aspect.value,), int(aspect in found)) for aspect in Aspect]


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def schedule_in_words(schedule: Schedule) -> str:
    """A schedule in a few words, for the label."""
    if isinstance(schedule, Manual) or (only := schedule.only) is None:
        return _instants(schedule)
    return f"{_instants(schedule)}, only {only} {only.zone.key}"


def _instants(schedule: Schedule) -> str:
    match schedule:
        case Every(every=every):
            return f"every {format_duration(every)}"
        case Cron(cron=expression, timezone=zone):
            return f"cron {expression} {zone.key}"
        case AfterUpstream():
            return "after upstream"
        case TargetLag(target=target):
            return f"target lag {format_duration(target)}"
        case Manual():
            return "manual"
        case other:
            assert_never(other)


VIEW_FAMILIES: tuple[ViewFamily, ...] = (
    ViewFamily(
        name="refresher_view_info",
        meaning="Always 1; the labels tell what the view is and how it is refreshed.",
        samples=_info,
        labels=("relation", "kind", "strategy", "schedule", "owner"),
    ),
    moving_gauge(
        "refresher_view_data_timestamp_seconds",
        "data_as_of: everything committed before it shows in the view. Absent while unknown.",
        lambda view, now: _unix(view.data_as_of(now)),
    ),
    gauge(
        "refresher_view_last_change_timestamp_seconds",
        "When a refresh last wrote a row. A view that nothing changes keeps an old one.",
        lambda view: _unix(view.stored.last_change_at),
    ),
    moving_gauge(
        "refresher_view_staleness_seconds",
        "Now less data_as_of, by the database's clock, at this scrape. Absent while unknown.",
        lambda view, now: _seconds(view.staleness(now)),
    ),
    gauge(
        "refresher_view_last_success_timestamp_seconds",
        "When the last successful refresh ended.",
        lambda view: _unix(view.last_success_at),
    ),
    gauge(
        "refresher_view_last_attempt_timestamp_seconds",
        "When the newest run began.",
        lambda view: _unix(view.last_run.started_at if view.last_run else None),
    ),
    gauge(
        "refresher_view_next_refresh_timestamp_seconds",
        "The next due instant. Absent where no schedule gives one.",
        lambda view: _unix(view.next_due_at),
    ),
    gauge(
        "refresher_view_refresh_start_timestamp_seconds",
        "When the refresh in flight began. Absent while there is none.",
        lambda view: _unix(view.running_since),
    ),
    gauge(
        "refresher_view_target_lag_seconds",
        "The staleness its schedule aims to stay below. Absent where it aims at none.",
        lambda view: _seconds(view.view.target_lag),
    ),
    gauge(
        "refresher_view_max_staleness_seconds",
        "The limit its staleness is judged by. Absent where there is none.",
        lambda view: _seconds(view.max_staleness),
    ),
    gauge(
        "refresher_view_last_refresh_success",
        "Whether the last refresh that was not cancelled succeeded.",
        lambda view: view.last_ended.succeeded if view.last_ended else None,
    ),
    gauge(
        "refresher_view_last_refresh_duration_seconds",
        "How long that refresh took.",
        of_last_ended("duration_seconds"),
    ),
    gauge(
        "refresher_view_last_refresh_queue_wait_seconds",
        "How long it waited for a worker.",
        of_last_ended("queue_wait_seconds"),
    ),
    gauge(
        "refresher_view_last_refresh_lock_wait_seconds",
        "How long it waited for locks.",
        of_last_ended("lock_wait_seconds"),
    ),
    gauge(
        "refresher_view_consecutive_failures",
        "How many runs failed since the last success, at most 1,000.",
        of_refreshed(lambda view: view.consecutive_failures),
    ),
    ViewFamily(
        name="refresher_view_state",
        meaning="1 for the state the view is in: fresh, late, stale or unknown.",
        samples=_states,
        labels=("state",),
        moving=ViewSnapshot.state,
    ),
    gauge(
        "refresher_view_populated",
        "Whether it can be read. A plain view that exists always can.",
        lambda view: view.stored.populated,
    ),
    gauge(
        "refresher_view_paused",
        "Whether its schedule is held.",
        lambda view: view.paused,
    ),
    gauge(
        "refresher_view_refresh_running",
        "Whether a refresh is in flight, on any replica.",
        lambda view: view.stored.running,
    ),
    gauge(
        "refresher_view_rows",
        "Rows, as counted by the last refresh; PostgreSQL's estimate where there was none.",
        lambda view: view.rows,
    ),
    gauge(
        "refresher_view_size_bytes",
        "Its size on disk with indexes and TOAST.",
        lambda view: view.bytes,
    ),
    gauge(
        "refresher_view_dead_rows",
        "Dead rows that wait for VACUUM, as PostgreSQL estimates them.",
        lambda view: view.dead_rows,
    ),
    ViewFamily(
        name="refresher_view_drift",
        meaning="Whether the catalog differs from the configuration, by aspect.",
        samples=_drift,
        labels=("aspect",),
    ),
    gauge(
        "refresher_view_drift_timestamp_seconds",
        "When the catalog was last compared with the configuration.",
        lambda view: _unix(view.watched.looked_at),
    ),
    gauge(
        "refresher_view_refreshed_outside",
        "Whether somebody else has refreshed it since refresher last did.",
        of_refreshed(lambda view: view.watched.refreshed_outside_at is not None),
    ),
    gauge(
        "refresher_view_checks_broken",
        "How many of its checks are broken, as they were judged last.",
        lambda view: len(view.broken_checks),
    ),
    counter(
        "refresher_refresh_runs_total",
        "Runs that ended. The strategy is empty where the run ended before one was chosen.",
        "runs",
        labels=("strategy", "outcome"),
        series=lambda kind: run_ends(kind.strategies),
    ),
    counter(
        "refresher_refresh_failures_total",
        "Failed runs, by reason.",
        "failures",
        labels=("reason",),
        series=lambda _: [(reason.value,) for reason in FailureReason],
    ),
    counter(
        "refresher_refresh_rows_total",
        "Rows that refreshes wrote.",
        "rows",
        labels=("operation",),
        series=lambda _: [(operation,) for operation in _OPERATIONS],
    ),
    counter(
        "refresher_refresh_misfires_total",
        "Due instants that passed unserved and were coalesced into a later one.",
        "misfires",
        series=lambda _: [()],
    ),
    counter(
        "refresher_verify_rows_corrected_total",
        "Rows found to differ from the view's query, and put right where a refresh could do that.",
        "corrected",
        series=lambda _: [()],
    ),
)
