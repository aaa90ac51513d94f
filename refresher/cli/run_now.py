"""`refresher run-now`: refresh views by hand and say how it went."""

import contextlib
import queue
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import click

from refresher.catalog.introspection import read_graph
from refresher.cli import render
from refresher.cli.context import (
    databases_of,
    in_each_database,
    load,
    open_store,
    pick_views,
    reach,
    require_refreshed,
)
from refresher.cli.interruption import INTERRUPTED, Interruption, attend
from refresher.cli.manual import Extent, Job, ManualRefresh, plan, reached
from refresher.cli.parameters import Command, config_option, json_option
from refresher.cli.person import name_of_person
from refresher.cli.presence import present
from refresher.cli.progress import show_jobs
from refresher.cli.wording import describe_run
from refresher.config.digest import digest
from refresher.config.model import Config, Kind, View
from refresher.errors import RefresherError
from refresher.graph import Graph
from refresher.postgres.sessions import connect
from refresher.runs import Strategy
from refresher.store.control import request, served_views
from refresher.store.migrate import require_current
from refresher.store.registry import left_to_daemons, register
from refresher.store.state import read_median_seconds


@click.command(
    "run-now",
    cls=Command,
    short_help="Refresh views now and say how it went.",
    help="Refresh views now, each after those it reads, and say how it went.\n\n"
    "Works with and without a daemon. A refresh in flight is joined; max_parallel is obeyed. Ctrl-C"
    " cancels on the server. Exits 1 if any failed.",
    examples={
        "refresher run-now customer_sources": "refresh one view",
        "refresher run-now source_performance --upstream": "first all that it reads",
        "refresher run-now --all": "all of them, each after those it reads",
        "refresher run-now customer_sources --no-wait": "let a daemon do it",
        "refresher run-now customer_sources --strategy full": "rewrite it; readers wait meanwhile",
    },
)
@click.argument("views", metavar="VIEW...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Refresh every view there is.")
@click.option("--upstream", is_flag=True, help="Refresh everything their contents come from, too.")
@click.option(
    "--downstream", is_flag=True, help="Refresh everything that their contents reach, too."
)
@click.option("--no-wait", is_flag=True, help="Ask a running daemon to do it, and don't wait.")
@click.option(
    "--strategy",
    type=click.Choice([strategy.value for strategy in Kind.MATERIALIZED_VIEW.strategies]),
    help="How to refresh, whatever the configuration says.",
)
@config_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    views: tuple[str, ...],
    *,
    every: bool,
    upstream: bool,
    downstream: bool,
    no_wait: bool,
    strategy: str | None,
    as_json: bool,
) -> int:
    """Refresh views now."""
    if every == bool(views):
        message = "name the views to refresh, or say --all"
        raise click.UsageError(message)
    config = load(context)
    picked = pick_views(config, views)
    if every:
        picked = {name: view for name, view in picked.items() if view.refreshed}
        if not picked:
            render.tell(f"{config.path} has no views to refresh")
    extent = Extent(upstream=upstream, downstream=downstream)
    if extent.alone:
        require_refreshed(picked.values(), "it is always up to date with what it reads")
    if strategy is not None and extent.alone:
        _require_fitting(picked.values(), Strategy(strategy))
    wanted = Wanted(picked, extent, Strategy(strategy) if strategy else None)
    if no_wait:
        return _request(config, wanted, as_json=as_json)
    return _refresh(config, wanted, as_json=as_json)


def _require_fitting(views: Iterable[View], strategy: Strategy) -> None:
    """Make sure that these views can be refreshed so.

    Raises:
        click.UsageError: one can't.
    """
    for view in views:
        if strategy not in view.kind.strategies:
            only = " or ".join(view.kind.strategies)
            message = (
                f"{view.name!r} is of the kind {view.kind}, which is refreshed by {only} only;"
                " leave out --strategy"
            )
            raise click.UsageError(message)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which views to refresh."""

    views: Mapping[str, View]
    extent: Extent
    strategy: Strategy | None
    """Instead of what the views say."""

    @property
    def databases(self) -> list[str]:
        """Where they are, by alias."""
        return databases_of(self.views.values())

    def reached(self, config: Config, alias: str, graph: Graph) -> list[View]:
        """The views of one database to refresh, in order."""
        mine = [view.name for view in self.views.values() if view.database == alias]
        found = reached(mine, self.extent, config.views_of(alias), graph)
        if not found and mine:
            render.tell(
                f"nothing is refreshed above or below {', '.join(mine)}, as far as was asked: there"
                " are only base tables and plain views"
            )
        return found


def _refresh(config: Config, wanted: Wanted, *, as_json: bool) -> int:
    interruption = Interruption()
    jobs: list[Job] = []

    def refresh(alias: str) -> None:
        if interruption.asked:
            return
        with prepared(config, alias, wanted) as work:
            jobs.extend(work.jobs)
            with show_jobs(work.jobs) as display:

                def watch() -> None:
                    display.show()
                    if not work.finished.empty():
                        with display.aside():
                            _tell_finished(work, as_json=as_json)

                attend(work.run, interruption, cancel=work.cancel, watch=watch)
            _tell_finished(work, as_json=as_json)

    with interruption.caught():
        _, code = in_each_database(wanted.databases, refresh)
    runs = [job.run for job in jobs if job.run is not None]
    if as_json:
        runs.sort(key=lambda run: (run.started_at, run.id), reverse=True)
        render.print_json([run.as_json() for run in runs])
    if interruption.asked:
        return INTERRUPTED
    failed = any(not run.succeeded for run in runs)
    return max(code, int(failed), *(job.exit_code for job in jobs), 0)


@contextlib.contextmanager
def prepared(config: Config, alias: str, wanted: Wanted) -> Iterator[ManualRefresh]:
    """One database with these views known to it and this process alive in it.

    Raises:
        RefresherError: it can't be worked with.
    """
    database, managed = config.databases[alias], config.views_of(alias)
    with reach(config, alias) as endpoint:
        with connect(endpoint) as connection:
            require_current(connection)
            graph = read_graph(connection, managed)
            left = left_to_daemons(connection, digest(database, managed), managed)
            register(connection, managed, graph, max_parallel=database.max_parallel, left=left)
            views = wanted.reached(config, alias, graph)
            usual = {view.name: read_median_seconds(connection, view.name) for view in views}
        with present(endpoint, managed) as worker:
            yield ManualRefresh(
                endpoint=endpoint,
                worker=worker,
                jobs=plan(views, graph, strategy=wanted.strategy, usual_seconds=usual),
                max_parallel=database.max_parallel,
                most_lag=database.throttle.replication_lag,
                exact=not wanted.extent.alone,
            )


def _tell_finished(work: ManualRefresh, *, as_json: bool) -> None:
    """A line for each job that has ended since; what failed is told on stderr."""
    with contextlib.suppress(queue.Empty):
        while True:
            job = work.finished.get_nowait()
            if job.bug is not None:
                raise job.bug
            if job.ended is not None:
                run = job.ended.run
                out = render.say if run.succeeded else render.tell
                line = describe_run(run, joined=job.ended.joined)
            else:
                out, line = render.tell, f"{job.view.name}: {job.error or 'not begun'}"
            if not (as_json and out is render.say):
                out(line)


def _request(config: Config, wanted: Wanted, *, as_json: bool) -> int:
    def ask(alias: str) -> list[dict[str, str]]:
        with open_store(config, alias) as connection:
            graph = read_graph(connection, config.views_of(alias))
            # Top down, for a daemon has a view wait for what is asked of those above before it.
            names = [view.name for view in wanted.reached(config, alias, graph)]
            unserved = sorted(set(names) - served_views(connection, names))
            if unserved:
                message = (
                    f"no daemon is running that knows {', '.join(unserved)}; start"
                    " `refresher run`, or leave out --no-wait"
                )
                raise RefresherError(message)
            asked = [
                (name, request(connection, name, strategy=wanted.strategy, by=name_of_person()))
                for name in names
            ]
        if not as_json:
            for name, at in asked:
                render.say(f"{name}: asked for at {render.moment(at)}")
        return [{"view": name, "requested_at": at.isoformat()} for name, at in asked]

    results, code = in_each_database(wanted.databases, ask)
    if as_json:
        render.print_json([entry for entries in results.values() for entry in entries])
    return code
