"""`refresher status`: how fresh every view is."""

import time
from collections.abc import Collection
from datetime import datetime

import click

from refresher.catalog.introspection import read_graph
from refresher.cli import render
from refresher.cli.context import databases_of, in_each_database, load, open_store, pick_views
from refresher.cli.parameters import Command, config_option, json_option
from refresher.cli.table import print_table
from refresher.cli.wording import DISTRUSTED
from refresher.definitions.compare import Aspect
from refresher.observe.model import DatabaseSnapshot, ViewSnapshot
from refresher.observe.snapshot import read_snapshot
from refresher.store.presence import configured
from refresher.store.standing import Configured

_COLUMNS = ("view", "state", "staleness", "max", "as of", "last run", "next due", "notes")


@click.command(
    "status",
    cls=Command,
    short_help="Show how fresh every view is.",
    help="Show how fresh every view, or some, are.\n\n"
    "Staleness is how far the contents are behind the base tables. A database that can't be reached"
    " is complained of, the others are shown, and the exit code is 3.",
    examples={
        "refresher status": "every view",
        "refresher status customer_sources --json": "one view, for programs",
    },
)
@click.argument("views", metavar="[VIEW]...", nargs=-1)
@config_option
@json_option
@click.pass_context
def command(context: click.Context, views: tuple[str, ...], *, as_json: bool) -> int:
    """Show how fresh views are."""
    config = load(context)
    picked = pick_views(config, views)
    living: dict[str, tuple[Configured, ...]] = {}

    def read(alias: str) -> DatabaseSnapshot:
        managed = config.views_of(alias)
        with open_store(config, alias) as connection:
            graph = read_graph(connection, managed)
            living[alias] = configured(connection)
            return read_snapshot(connection, config.databases[alias], managed, graph)

    snapshots, code = in_each_database(databases_of(picked.values()), read)
    monotonic = time.monotonic()
    shown = [
        (snapshot.views[name], snapshot.now(monotonic))
        for name, view in picked.items()
        if (snapshot := snapshots.get(view.database)) is not None
    ]
    if as_json:
        render.print_json([view.as_json(now) for view, now in shown])
    elif shown:
        several = len(config.databases) > 1
        columns = ("database", *_COLUMNS) if several else _COLUMNS
        print_table(columns, [_row(view, now, several=several) for view, now in shown])
        for view, now in shown:
            for broken in view.broken_checks:
                since = render.cell_moment(broken.broken_since, now)
                render.say(
                    f"{view.view.name}: check {broken.check}, broken since {since}:"
                    f" {broken.message}"
                )
    elif not picked:
        render.tell(f"{config.path} has no views")
    for alias, daemons in living.items():
        _tell_configurations(alias, daemons)
    return code


def _tell_configurations(alias: str, daemons: Collection[Configured]) -> None:
    """Say if living daemons have different configurations, as while they are replaced."""
    different = len({daemon.configuration for daemon in daemons})
    if different > 1:
        newest = max(daemons, key=lambda daemon: daemon.configured_at)
        render.tell(
            f"{alias}: {len(daemons)} daemons have {different} configurations; the newest is that"
            f" of {newest.worker}, in force since {render.moment(newest.configured_at)}"
        )


def _row(view: ViewSnapshot, now: datetime, *, several: bool) -> list[str]:
    row = [
        view.view.name,
        view.state(now).value,
        render.length(view.staleness(now)),
        render.length(view.max_staleness),
        render.cell_moment(view.stored.as_of, now),
        _last_run(view),
        render.cell_moment(view.next_due_at, now),
        "; ".join(_notes(view, now)),
    ]
    return [view.view.database, *row] if several else row


def _last_run(view: ViewSnapshot) -> str:
    run = view.last_run
    if run is None or run.outcome is None:
        return ""
    return f"{run.outcome} in {render.length(run.duration_seconds)}"


def _notes(view: ViewSnapshot, now: datetime) -> list[str]:
    """What is unusual about a view, and what it waits for."""
    states = {"missing": view.missing, "running": view.stored.running, "paused": view.paused}
    notes = [state for state, holds in states.items() if holds]
    if view.stored.rows_total is not None:
        notes.append(f"{view.stored.rows_done:,} of {view.stored.rows_total:,} rows written")
    if view.stored.distrust is not None:
        notes.append(DISTRUSTED[view.stored.distrust])
    if view.waiting not in {None, *notes}:
        notes.append(view.waiting or "")
    if view.broken_checks:
        broken = ", ".join(broken.check for broken in view.broken_checks)
        notes.append(f"broken checks: {broken}")
    return [*notes, *_done_by_others(view, now)]


def _done_by_others(view: ViewSnapshot, now: datetime) -> list[str]:
    watched = view.watched
    notes = []
    aspects = [drift.aspect for drift in watched.drift if drift.aspect != Aspect.MISSING]
    if aspects:
        notes.append(f"drift: {', '.join(aspects)}")
    if watched.problem:
        notes.append(f"drift unknown: {watched.problem.splitlines()[0]}")
    if watched.refreshed_outside_at is not None:
        notes.append(
            f"refreshed outside at {render.cell_moment(watched.refreshed_outside_at, now)}"
        )
    return notes
