"""The live phase in words and pictures: how stale every view is, and how refreshes went."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

from refresher.demo.report import indented, length, line, plain_table
from refresher.durations import format_duration
from refresher.freshness import State
from refresher.graph import Graph
from refresher.observe.model import DatabaseSnapshot, ViewSnapshot
from refresher.runs import Run

_STYLES: Mapping[State, str] = {
    State.FRESH: "green",
    State.LATE: "yellow",
    State.STALE: "red",
    State.UNKNOWN: "red",
}
_BAR_WIDTH = 12
_ROOM_FOR_BARS = 80
"""Columns of the terminal; on a narrower one the words are worth more."""


def status(
    snapshot: DatabaseSnapshot, graph: Graph, now: datetime, *, full: timedelta, width: int
) -> RenderableType:
    """Every view at a moment.

    Args:
        snapshot: the views as they were read last.
        graph: who reads whom.
        now: the database's time.
        full: the staleness that fills a bar.
        width: of the terminal, in columns.
    """
    table = plain_table(
        Column("view", no_wrap=True),
        Column("state"),
        Column("staleness", justify="right", no_wrap=True),
        *([Column(width=_BAR_WIDTH)] if width >= _ROOM_FOR_BARS else []),
        Column("last refresh"),
    )
    for name, view in snapshot.views.items():
        state, staleness = view.state(now), view.staleness(now)
        cells: list[RenderableType] = [
            name,
            Text(state.value, style=_STYLES[state]),
            "" if staleness is None else format_duration(staleness),
            _last_refresh(view, graph.refreshed_upstreams(name)),
        ]
        if width >= _ROOM_FOR_BARS:
            cells.insert(3, _bar(staleness or timedelta(), full))
        table.add_row(*cells)
    return indented(table)


def told(run: Run, found: timedelta | None, left: timedelta | None) -> RenderableType:
    """How a run ended, in a line; with the staleness it found and the one it left."""
    how = _how(run)
    if run.succeeded and found is not None and left is not None:
        how = f"staleness {format_duration(found)} -> {format_duration(left)} ({how})"
    return line(run.view, Text(how, style="" if run.succeeded else "red"))


def _last_refresh(view: ViewSnapshot, upstreams: tuple[str, ...]) -> Text:
    if view.running_since is not None:
        return Text("refreshing now", style="cyan")
    if view.last_run is not None:
        return Text(_how(view.last_run), style="" if view.last_run.succeeded else "red")
    return Text(f"reads {', '.join(upstreams) or 'base tables'}", style="dim")


def _how(run: Run) -> str:
    if not run.succeeded:
        return f"{run.outcome or 'running'}: {run.error}" if run.error else f"{run.outcome}"
    took = length(run.duration_seconds or 0)
    changed = sum((run.rows_inserted or 0, run.rows_updated or 0, run.rows_deleted or 0))
    return f"{run.strategy}, {took}, {changed:,} rows"


def _bar(staleness: timedelta, full: timedelta) -> ProgressBar:
    return ProgressBar(
        total=full.total_seconds(),
        completed=min(staleness, full).total_seconds(),
        width=_BAR_WIDTH,
        complete_style="yellow",
        finished_style="yellow",
    )
