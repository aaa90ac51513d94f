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
        return code
    found = _find(config, known, names)
    if not sure:
        _ask(found)
    interruption = Interruption()
    reports = []
    with interruption.caught():
        for alias in dict.fromkeys(each.database for each in found):
            here = [each.name for each in found if each.database == alias]

            def act(change: Change, here: Sequence[str] = here) -> None:
                views = config.views_of(change.report.database)
                results = destroy(
                    change.session, views, here, allow_drop=allow_drop, tell=change.tell
                )
                for result in results:
                    change.done(result)

            if not interruption.asked:
                reports.append(carry_out(config, alias, interruption, act, silent=as_json))
    if as_json:
        render.print_json([report.as_json() for report in reports])
    if interruption.asked:
        render.tell("interrupted; `refresher destroy` with the rest goes on from here")
        return INTERRUPTED
    return max(report.exit_code for report in reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A view that is to go."""

    database: str
    name: str
    relation: RelationName
    bytes: int | None
    """What it takes; None if nothing stands."""
    configured: bool

    def __str__(self) -> str:
        stands = "does not stand" if self.bytes is None else render.size(self.bytes)
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
            bytes=facts[relation].bytes if relation in facts else None,
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


def _ask(found: Sequence[_Found]) -> None:
    """Let somebody decide.

    Raises:
        UsageError: nobody can be asked.
        Abort: the answer is no.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        message = "destroy drops views, and there is nobody to ask here; say --yes if you mean it"
        raise click.UsageError(message)
    for each in found:
        render.tell(str(each))
    click.confirm(f"Drop {'it' if len(found) == 1 else 'them'}?", abort=True, err=True)
