"""`refresher apply`: create what is missing, dress what stands, report what differs."""

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from refresher.cli import render
from refresher.cli.context import in_each_database, load, pick_views, reach
from refresher.cli.interruption import INTERRUPTED, Interruption, attend
from refresher.cli.parameters import Command, config_option, json_option
from refresher.cli.presence import present
from refresher.cli.progress import show_step
from refresher.config.model import Config
from refresher.definitions.apply import Applied, apply
from refresher.definitions.populate import Populator
from refresher.postgres.sessions import connect
from refresher.refresh.discharge import Discharge
from refresher.refresh.session import Session
from refresher.store.migrate import migrate


@click.command(
    "apply",
    cls=Command,
    short_help="Create what is missing: views, first contents, indexes, grants.",
    help="Create what is missing: the store, views, first contents, indexes; and set owner, grants"
    " and comment.\n\n"
    "Nothing is dropped and nothing that stands is redefined: what differs is reported, and the"
    " exit code is 1. Applying again changes nothing; interrupted, it goes on when run again.",
    examples={
        "refresher apply": "everything",
        "refresher apply customer_orders_v customer_sources": "these views only",
    },
)
@click.argument("views", metavar="[VIEW]...", nargs=-1)
@config_option
@json_option
@click.pass_context
def command(context: click.Context, views: tuple[str, ...], *, as_json: bool) -> int:
    """Create what is missing."""
    config = load(context)
    picked = pick_views(config, views)
    # A store is wanted in every database, even in one that has no views yet.
    aliases = [
        alias
        for alias in config.databases
        if not views or any(view.database == alias for view in picked.values())
    ]
    interruption = Interruption()
    with interruption.caught():
        results, code = in_each_database(
            aliases, lambda alias: _apply(config, alias, picked, interruption, as_json=as_json)
        )
    if as_json:
        render.print_json(
            [_as_json(alias, each) for alias, applied in results.items() for each in applied]
        )
    if interruption.asked:
        render.tell("interrupted; `refresher apply` goes on from here")
        return INTERRUPTED
    incomplete = any(each.error or each.drift for applied in results.values() for each in applied)
    return max(code, int(incomplete))


def _apply(
    config: Config,
    alias: str,
    picked: Collection[str],
    interruption: Interruption,
    *,
    as_json: bool,
) -> list[Applied]:
    if interruption.asked:
        return []
    views = config.views_of(alias)
    with reach(config, alias) as endpoint:
        with connect(endpoint) as connection:
            for step in migrate(connection):
                render.tell(f"{alias}: the store is now at version {step.version} ({step.name})")
        with present(endpoint, views) as worker, show_step() as show:
            work = _Work(
                session=Session(endpoint, worker=worker), config=config, alias=alias, only=picked
            )
            printed = 0

            def watch() -> None:
                nonlocal printed
                show(work.activity)
                while not as_json and printed < len(work.applied):
                    _print(work.applied[printed])
                    printed += 1

            with contextlib.suppress(_InterruptedError):
                attend(work.run, interruption, cancel=work.cancel, watch=watch)
    return work.applied


class _InterruptedError(Exception):
    """Unwinds an apply that is to begin no further step."""


@dataclass(slots=True, kw_only=True)
class _Work:
    """Applying to one database. `run` blocks; `cancel` may be called from another thread."""

    session: Session
    config: Config
    alias: str
    only: Collection[str]
    applied: list[Applied] = field(default_factory=list)
    activity: str = "reading the catalog"
    _discharge: Discharge | None = None
    _cancelled: bool = False

    def run(self) -> None:
        populator = Populator(
            session=self.session,
            database=self.config.databases[self.alias],
            views=self.config.views_of(self.alias),
            emit=lambda _event: None,
            began=self._begin,
        )
        try:
            apply(populator, only=self.only, tell=self._tell, done=self.applied.append)
        finally:
            self.session.discard()

    def cancel(self) -> None:
        self._cancelled = True
        if self._discharge is not None:
            self._discharge.cancel()
        self.session.cancel()

    def _begin(self, discharge: Discharge) -> None:
        self._discharge = discharge
        if self._cancelled:
            discharge.cancel()

    def _tell(self, view: str, step: str) -> None:
        if self._cancelled:
            raise _InterruptedError
        self.activity = f"{view}: {step}"


def _print(applied: Applied) -> None:
    if applied.done or not (applied.drift or applied.error):
        render.say(f"{applied.view}: {'; '.join(applied.done) or 'nothing to do'}")
    for found in applied.drift:
        render.tell(f"{applied.view}: differs, and was left as it is: {found.message}")
    for note in applied.notes:
        render.tell(f"{applied.view}: {note}")
    if applied.error:
        render.tell(f"{applied.view}: {applied.error}")


def _as_json(alias: str, applied: Applied) -> Mapping[str, Any]:
    return {
        "database": alias,
        "view": applied.view,
        "done": list(applied.done),
        "drift": [{"aspect": found.aspect, "message": found.message} for found in applied.drift],
        "notes": list(applied.notes),
        "error": applied.error,
    }
