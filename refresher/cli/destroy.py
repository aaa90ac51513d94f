"""`refresher destroy`: drop views, and forget what is known of them."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import click

from refresher.cli import render
from refresher.cli.changes import Change, carry_out
from refresher.cli.context import in_each_database, load, reach
from refresher.cli.interruption import INTERRUPTED, Interruption
from refresher.cli.parameters import Command, allow_drop_option, config_option, json_option
from refresher.config.faults import suggest
from refresher.config.model import Config
from refresher.definitions.destroy import destroy
from refresher.definitions.facts import read_facts_of
from refresher.definitions.model import RelationFacts
from refresher.errors import ConfigError
from refresher.names import RelationName
from refresher.postgres.sessions import connect
from refresher.store.definition import read_applied


@click.command(
    "destroy",
    cls=Command,
    short_help="Drop views, and forget what is known of them.",
    help="Drop views, and forget what is known of them: runs, freshness, counters. They may be"
    " configured, or have been applied before they were taken out of the configuration.\n\n"
    "What depends on them is never dropped unless named: it is told, and the exit code is 2. On a"
    " terminal you are asked first; elsewhere --yes is needed.",
    examples={
        "refresher destroy old_report": "a view that is no longer configured",
        "refresher destroy old_report --yes": "without being asked, in a script",
        "refresher destroy old_report --allow-drop public.its_reader": "with what reads it",
    },
)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--database", metavar="ALIAS", help="Where they are, if that is not clear.")
@allow_drop_option
@click.option("--yes", "sure", is_flag=True, help="Don't ask.")
@config_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    names: tuple[str, ...],
    *,
    database: str | None,
    allow_drop: tuple[str, ...],
    sure: bool,
    as_json: bool,
) -> int:
    """Find the views, ask, and drop them."""
    config = load(context)
    if database is not None and database not in config.databases:
        message = f"no database {database!r}; {suggest(database, list(config.databases))}"
        raise ConfigError(message)
    aliases = list(config.databases) if database is None else [database]
    known, code = in_each_database(aliases, lambda alias: _read_known(config, alias))
    if code:
        if as_json:
            render.print_json([])
        return code
    found = _find(config, known, names)
    if not (sure or _is_meant(found)):
        render.tell("nothing was dropped")
        return 1
    return _destroy(config, found, allow_drop, as_json=as_json)


def _destroy(
    config: Config, found: Sequence["_Found"], allow_drop: Collection[str], *, as_json: bool
) -> int:
    def act(change: Change) -> None:
        alias = change.report.database
        names = [each.name for each in found if each.database == alias]
        views = config.views_of(alias)
        for result in destroy(
            change.session, views, names, allow_drop=allow_drop, tell=change.tell
        ):
            change.done(result)

    interruption = Interruption()
    with interruption.caught():
        reports = [
            carry_out(config, alias, interruption, act, silent=as_json)
            for alias in dict.fromkeys(each.database for each in found)
            if not interruption.asked
        ]
    if as_json:
        render.print_json([report.as_json() for report in reports])
    if interruption.asked:
        render.tell("interrupted; `refresher plan` shows what still stands")
        return INTERRUPTED
    return max((report.exit_code for report in reports), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A view that is to go."""

    database: str
    name: str
    relation: RelationName
    standing: RelationFacts | None
    filled: RelationName | None
    """Whose columns it fills."""
    configured: bool

    def __str__(self) -> str:
        match self.standing:
            case None:
                stands = "nothing stands there"
            case RelationFacts(kind="m", bytes=size):
                stands = f"a materialized view, {render.size(size)}"
            case RelationFacts(kind="r", bytes=size):
                stands = f"a table, {render.size(size)}"
            case _ if self.filled:
                stands = f"the query for columns of {self.filled}, which stay as they are"
            case _:
                stands = "a view"
        again = "; it is configured, so that an apply would create it again"
        return f"{self.database}: {self.relation} ({stands}){again if self.configured else ''}"


def _read_known(config: Config, alias: str) -> dict[str, _Found]:
    """The views of a database that can be destroyed."""
    views = config.views_of(alias)
    with reach(config, alias) as endpoint, connect(endpoint) as connection:
        relations = {name: each.relation for name, each in read_applied(connection).items()}
        relations |= {name: view.relation for name, view in views.items()}
        facts = read_facts_of(connection, list(relations.values()))
    return {
        name: _Found(
            database=alias,
            name=name,
            relation=relation,
            standing=facts.get(relation),
            filled=fills.table if name in views and (fills := views[name].fills) else None,
            configured=name in views,
        )
        for name, relation in relations.items()
    }


def _find(
    config: Config, known: dict[str, dict[str, _Found]], names: Collection[str]
) -> list[_Found]:
    """The views of these names.

    Raises:
        ConfigError: there is no such view, or there are several.
    """
    found = []
    for name in dict.fromkeys(names):
        places = [here[name] for here in known.values() if name in here]
        if not places:
            there = sorted({each for here in known.values() for each in here})
            hint = suggest(name, there) if there else "nothing was applied yet"
            message = f"{config.path} has no view {name!r}, and none was applied from it; {hint}"
            raise ConfigError(message)
        if len(places) > 1:
            aliases = " and ".join(place.database for place in places)
            message = f"{name!r} is in {aliases}: choose one with --database"
            raise ConfigError(message)
        found += places
    return found


def _is_meant(found: Sequence[_Found]) -> bool:
    """Let somebody decide.

    Raises:
        UsageError: nobody can be asked.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        message = "destroy drops views, and there is nobody to ask here; say --yes if you mean it"
        raise click.UsageError(message)
    for each in found:
        render.tell(str(each))
    return click.confirm(f"Drop {'it' if len(found) == 1 else 'them'}?", err=True)
