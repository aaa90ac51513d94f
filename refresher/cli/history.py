"""`refresher history`: a view's last runs."""

from datetime import datetime

import click

from refresher.cli import render
from refresher.cli.context import load, open_store, pick_views
from refresher.cli.parameters import Command, config_option, json_option
from refresher.cli.table import print_table
from refresher.cli.wording import churn, problem
from refresher.runs import Run
from refresher.store.state import read_clock, read_history

_COLUMNS = ("started", "outcome", "took", "trigger", "strategy", "rows", "churn", "why")


@click.command(
    "history",
    cls=Command,
    short_help="Show a view's last runs.",
    help="Show a view's last runs, newest first.",
    examples={
        "refresher history customer_sources": "its last 20 runs",
        "refresher history customer_sources --limit 1 --json": "its last one, for programs",
    },
)
@click.argument("view", metavar="VIEW")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="How many runs.",
)
@config_option
@json_option
@click.pass_context
def command(context: click.Context, view: str, *, limit: int, as_json: bool) -> None:
    """Show a view's last runs."""
    config = load(context)
    picked = pick_views(config, [view])[view]
    with open_store(config, picked.database) as connection:
        now = read_clock(connection)
        runs = read_history(connection, view, limit=limit)
    if as_json:
        render.print_json([run.as_json() for run in runs])
    elif runs:
        print_table(_COLUMNS, [_row(run, now) for run in runs])
    else:
        render.tell(f"{view} has no runs yet")


def _row(run: Run, now: datetime) -> list[str]:
    attempt = f" (attempt {run.attempt})" if run.attempt > 1 else ""
    return [
        render.cell_moment(run.started_at, now),
        run.outcome or "running",
        render.length(run.duration_seconds),
        f"{run.trigger}{attempt}",
        run.strategy or "",
        "" if run.rows is None else f"{run.rows:,}",
        churn(run) if run.succeeded else "",
        problem(run) or run.reason or "",
    ]
