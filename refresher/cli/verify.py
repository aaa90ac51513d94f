"""`refresher verify`: compare a view's contents with its query, and put right what differs."""

from collections.abc import Iterator
from typing import Any

import click

from refresher.cli import render
from refresher.cli.context import load, pick_views, reach, require_refreshed
from refresher.cli.interruption import INTERRUPTED, Interruption, attend
from refresher.cli.manual import Extent, Job
from refresher.cli.parameters import Command, config_option, json_option
from refresher.cli.progress import show_activity, show_jobs
from refresher.cli.run_now import Wanted, prepared
from refresher.cli.table import print_table
from refresher.cli.wording import describe_run
from refresher.config.faults import shorten
from refresher.config.model import Config, Kind, View
from refresher.postgres.sessions import connect
from refresher.refresh.comparison import DifferingRow
from refresher.refresh.session import Session
from refresher.refresh.transaction import CancelledError
from refresher.refresh.verify import Verification, Verified
from refresher.store.control import count_corrected
from refresher.store.migrate import require_current

_COLUMNS = ("key", "difference", "column", "view", "query")
_NULL = "null"


@click.command(
    "verify",
    cls=Command,
    short_help="Compare a view's contents with its query.",
    help="Compare a view's contents with what its query returns now, and show the rows that"
    " differ, by key.\n\n"
    "What its sources changed since its last refresh differs, too. Nothing is written, unless"
    " --repair is given. Exits 1 if anything differs that was not repaired.",
    examples={
        "refresher verify customer_stats": "all rows",
        "refresher verify customer_stats --sample 1000": "1,000 of its rows, looked up one by one",
        "refresher verify customer_stats --repair": "and refresh it, if anything differs",
    },
)
@click.argument("view", metavar="VIEW")
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(min=1),
    help="Compare N rows of the view, chosen at random; rows that it lacks are not seen.",
)
@click.option("--repair", is_flag=True, help="If anything differs, refresh the view.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many of the rows that differ to show.",
)
@config_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    view: str,
    *,
    sample: int | None,
    repair: bool,
    limit: int,
    as_json: bool,
) -> int:
    """Compare a view with its query."""
    config = load(context)
    picked = pick_views(config, [view])[view]
    require_refreshed([picked], "it can't differ from its query")
    interruption = Interruption()
    with interruption.caught():
        try:
            verified = _verify(config, picked, interruption, sample=sample, limit=limit)
        except CancelledError:
            return INTERRUPTED
        if not as_json:
            _show(verified, sample=sample)
        differing = verified.comparison.differing
        job = None
        if differing and repair and not interruption.asked:
            job = _repair(config, picked, interruption, differing)
    if job is not None:
        _tell_repair(job, as_json=as_json)
    repaired = job is not None and _succeeded(job)
    if as_json:
        run = job.run.as_json() if job is not None and job.run is not None else None
        render.print_json({**_as_json(verified, sample=sample), "repair": run})
    if interruption.asked:
        return INTERRUPTED
    failed = 0 if job is None else job.exit_code
    return failed or int(differing > 0 and not repaired)


def _verify(
    config: Config, view: View, interruption: Interruption, *, sample: int | None, limit: int
) -> Verified:
    with reach(config, view.database) as endpoint:
        with connect(endpoint) as connection:
            require_current(connection)
        session = Session(endpoint, worker="verify")
        work = Verification(session=session, view=view, sample=sample, limit=limit)
        try:
            with show_activity() as display:
                return attend(
                    work.run,
                    interruption,
                    cancel=work.cancel,
                    watch=lambda: display.show(f"{view.name}: comparing"),
                )
        finally:
            session.discard()


def _repair(config: Config, view: View, interruption: Interruption, differing: int) -> Job:
    """Refresh the view, and the others of its group."""
    wanted = Wanted({view.name: view}, Extent(), strategy=None)
    with prepared(config, view.database, wanted) as work:
        work.exact = True  # a refresh in flight may be older than what was compared
        with show_jobs(work.jobs) as display:
            attend(work.run, interruption, cancel=work.cancel, watch=display.show)
        (job,) = (job for job in work.jobs if job.view.name == view.name)
        if _succeeded(job):
            with connect(work.endpoint) as connection:
                count_corrected(connection, view.name, rows=differing)
        return job


def _succeeded(job: Job) -> bool:
    if job.bug is not None:
        raise job.bug
    return job.run is not None and job.run.succeeded


def _tell_repair(job: Job, *, as_json: bool) -> None:
    if job.run is None:
        render.tell(f"{job.view.name}: {job.error or 'not begun'}")
    elif not job.run.succeeded:
        render.tell(describe_run(job.run))
    elif not as_json:
        render.say(describe_run(job.run))


def _show(verified: Verified, *, sample: int | None) -> None:
    comparison = verified.comparison
    name = verified.view.name
    rows = render.count(comparison.rows, "row" if sample is None else "sampled row")
    if not comparison.differing:
        render.say(f"{name}: {rows} compared, none differs from the query")
    else:
        kinds = ", ".join(
            f"{number:,} {difference}" for difference, number in comparison.counts.items() if number
        )
        render.say(f"{name}: {rows} compared, {comparison.differing:,} differ: {kinds}")
        if comparison.examples:
            render.say("")
            print_table(_COLUMNS, [line for row in comparison.examples for line in _lines(row)])
        more = comparison.differing - len(comparison.examples)
        if more:
            render.say(f"and {more:,} more; --limit shows more of them")
        render.say("")
    render.say(_when(verified))
    if sample is not None and verified.view.kind is not Kind.COLUMNS:
        render.say("A sample does not see rows that the view lacks.")


def _lines(row: DifferingRow) -> Iterator[tuple[str, ...]]:
    """A line for each column that differs, or one if all of the row does."""
    key = ", ".join(map(_shown, row.key.values()))
    if not row.columns:
        yield key, row.difference, "", "", ""
    for column, (in_view, in_query) in row.columns.items():
        yield key, row.difference, column, _shown(in_view), _shown(in_query)


def _shown(value: str | None) -> str:
    return _NULL if value is None else shorten(value)


def _when(verified: Verified) -> str:
    compared = render.moment(verified.compared_at)
    if verified.as_of is None:
        return f"Compared at {compared}; nobody can tell as of when the contents are."
    as_of = render.moment(verified.as_of)
    return (
        f"Compared at {compared}; the contents are as of {as_of}: what the sources changed in"
        " between differs, too."
    )


def _as_json(verified: Verified, *, sample: int | None) -> dict[str, Any]:
    comparison = verified.comparison
    return {
        "view": verified.view.name,
        "relation": str(verified.view.place),
        "as_of": verified.as_of.isoformat() if verified.as_of else None,
        "compared_at": verified.compared_at.isoformat(),
        "sample": sample,
        "rows": comparison.rows,
        **{difference.value: number for difference, number in comparison.counts.items()},
        "differences": [
            {
                "key": dict(row.key),
                "difference": row.difference,
                "columns": {
                    column: {"view": in_view, "query": in_query}
                    for column, (in_view, in_query) in row.columns.items()
                },
            }
            for row in comparison.examples
        ],
    }
