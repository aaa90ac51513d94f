"""Snapshots made by hand, for tests of what is shown of them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from refresher.config.model import Every, Kind, View
from refresher.names import RelationName
from refresher.observe.model import DatabaseSnapshot, ViewSnapshot
from refresher.runs import Outcome, Run, Strategy, Trigger
from refresher.store.drift import Watched
from refresher.store.state import ViewState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_view(name: str = "customer_sources", **changes: Any) -> View:
    """A materialized view refreshed every 15 minutes."""
    view = View(
        name=name,
        database="crm",
        relation=RelationName("public", name),
        kind=Kind.MATERIALIZED_VIEW,
        query="SELECT 1 AS customer_id",
        query_path=Path(f"sql/{name}.sql"),
        schedule=Every(every=timedelta(minutes=15)),
    )
    return replace(view, **changes)


def make_run(**changes: Any) -> Run:
    """A success that ended a second after noon."""
    run = Run(
        id=7,
        view="customer_sources",
        due_at=NOON - timedelta(seconds=2),
        trigger=Trigger.SCHEDULE,
        attempt=1,
        started_at=NOON - timedelta(seconds=1),
        worker="host/1/abc",
        strategy=Strategy.CONCURRENT,
        reason="it has a key",
        outcome=Outcome.SUCCEEDED,
        finished_at=NOON + timedelta(seconds=1),
        as_of=NOON,
        duration_seconds=2.0,
        queue_wait_seconds=0.25,
        lock_wait_seconds=0.125,
        rows=15_549,
        bytes=1_048_576,
        rows_inserted=3,
        rows_updated=2,
        rows_deleted=1,
    )
    return replace(run, **changes)


def make_stored(view: View, **changes: Any) -> ViewState:
    """What the store says of a view that was refreshed at noon."""
    refreshed = view.refreshed
    stored = ViewState(
        view=view.name,
        relation=16_384,
        relation_kind="m" if refreshed else "v",
        populated=True,
        owner="crm_owner",
        as_of=NOON if refreshed else None,
        data_as_of=NOON if refreshed else None,
        upstreams_seen={},
        success_run=7 if refreshed else None,
        rows=15_549 if refreshed else None,
        last_change_at=NOON + timedelta(seconds=1) if refreshed else None,
        running=False,
        rows_done=None,
        rows_total=None,
        paused_until=None,
        requested_at=None,
        requested_strategy=None,
        unsuccessful=(),
    )
    return replace(stored, **changes)


def make_view_snapshot(
    view: View | None = None, *, stored: ViewState | None = None, **changes: Any
) -> ViewSnapshot:
    """A view that was refreshed at noon, with a limit of an hour."""
    view = view or make_view()
    refreshed = view.refreshed
    run = make_run(view=view.name) if refreshed else None
    snapshot = ViewSnapshot(
        view=view,
        stored=stored or make_stored(view),
        live=not refreshed,
        fixed_data_as_of=NOON if refreshed else None,
        oldest=(view.name,),
        max_staleness=timedelta(hours=1) if refreshed else None,
        last_run=run,
        last_ended=run,
        last_success_at=NOON + timedelta(seconds=1) if refreshed else None,
        consecutive_failures=0,
        rows=15_549 if refreshed else None,
        bytes=1_048_576 if refreshed else None,
        dead_rows=12 if refreshed else None,
        next_due_at=NOON + timedelta(minutes=15) if refreshed else None,
        waiting=None,
        tallies={("runs", "concurrent/succeeded"): 40} if refreshed else {},
        broken_checks=(),
        watched=Watched(looked_at=NOON),
    )
    return replace(snapshot, **changes)


def make_plain_view(name: str = "customers_crm_v") -> View:
    return make_view(name, kind=Kind.VIEW)


def make_snapshot(views: Iterable[ViewSnapshot], **changes: Any) -> DatabaseSnapshot:
    """The database `crm` as it was read at noon, when the monotonic clock showed 1,000."""
    snapshot = DatabaseSnapshot(
        database="crm",
        read_at=NOON,
        read_at_monotonic=1000.0,
        clock_offset=0.25,
        read_seconds=0.5,
        views={view.view.name: view for view in views},
        replicas=3,
        unmanaged_views=2,
    )
    return replace(snapshot, **changes)
