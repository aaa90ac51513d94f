"""`refresher doctor`: what keeps refresher from working, and what cures it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from refresher.cli import render
from refresher.cli.context import in_each_database, load, reach
from refresher.cli.findings import print_findings
from refresher.cli.parameters import Command, config_option, json_option
from refresher.config.model import Config
from refresher.doctor.examine import examine
from refresher.doctor.judge import judge
from refresher.doctor.model import Facts, Finding, Severity
from refresher.doctor.origins import origin
from refresher.doctor.recipe import Site, recipe, script
from refresher.doctor.survey import imagine, survey
from refresher.errors import RefresherError
from refresher.postgres.versions import NEWEST_MAJOR, OLDEST_MAJOR

_ROLE = "refresher_daemon"


@click.command(
    "doctor",
    cls=Command,
    short_help="Say what keeps refresher from working, and the SQL that cures it.",
    help="Connect as configured and say what keeps refresher from working, or may one day, gravest"
    " first, each with the SQL that cures it. Nothing is changed.\n\n"
    "With notes only the exit code is 0; with an error or a warning, 1.",
    examples={
        "refresher doctor": "where to begin when something is wrong",
        "refresher doctor --json": "for programs",
        "refresher doctor --sql": "a role that may do no more than it must",
        "refresher doctor --sql --major 16": "the same, without a server",
    },
)
@click.option(
    "--sql",
    "as_sql",
    is_flag=True,
    help="Print the statements that make a role of least privilege.",
)
@click.option(
    "--major",
    metavar="N",
    type=click.IntRange(OLDEST_MAJOR, NEWEST_MAJOR),
    help="With --sql: for this PostgreSQL major, without asking a server.",
)
@click.option("--role", metavar="NAME", help=f"With --sql: its name, instead of {_ROLE}.")
@config_option
@json_option
@click.pass_context
def command(
    context: click.Context, *, as_sql: bool, major: int | None, role: str | None, as_json: bool
) -> int:
    """Look at every database."""
    if not as_sql:
        for name, value in (("--major", major), ("--role", role)):
            if value is not None:
                message = f"{name} is for --sql"
                raise click.UsageError(message)
        return _report(load(context), as_json=as_json)
    return _print_recipes(load(context), major, role or _ROLE, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """What came of looking at one database."""

    database: str
    facts: Facts | None = None
    findings: Sequence[Finding] = ()
    error: RefresherError | None = None
    """Why nothing could be looked at."""

    @property
    def exit_code(self) -> int:
        if self.error is not None:
            return self.error.exit_code
        return int(any(each.severity is not Severity.NOTE for each in self.findings))

    def as_json(self) -> dict[str, Any]:
        server = self.facts and self.facts.server
        return {
            "database": self.database,
            "error": None if self.error is None else str(self.error),
            "server": server
            and {
                "version": server.version,
                "database": server.database,
                "role": server.role,
                "pooler": "transaction" if server.pooled else None,
                "replica": server.replica,
            },
            "timeouts": [
                {"name": each.name, "value": each.value, "origin": origin(each)}
                for each in (self.facts.timeouts if self.facts else ())
            ],
            "findings": [finding.as_json() for finding in self.findings],
        }


def _report(config: Config, *, as_json: bool) -> int:
    visits = []
    for alias in config.databases:
        visit = _visit(config, alias)
        visits.append(visit)
        if visit.error is not None:
            render.complain(visit.error)
        if not as_json:
            _print(visit)
    if as_json:
        render.print_json([visit.as_json() for visit in visits])
    return max((visit.exit_code for visit in visits), default=0)


def _visit(config: Config, alias: str) -> _Visit:
    views = config.views_of(alias)
    try:
        with reach(config, alias) as endpoint:
            facts = examine(endpoint, views)
    except RefresherError as error:
        return _Visit(database=alias, error=error)
    findings = judge(config.databases[alias], views, facts)
    return _Visit(database=alias, facts=facts, findings=findings)


def _print(visit: _Visit) -> None:
    if visit.facts is None:
        return
    server = visit.facts.server
    way = " through a pooler" if server.pooled else ""
    render.say(f"{visit.database}: PostgreSQL {server.version}, as {server.role}{way}")
    render.say("")
    for each in visit.facts.timeouts:
        render.say(f"  {each.name:<36} {each.value:<6} {origin(each)}")
    print_findings(visit.findings)
    tally = Counter(each.severity for each in visit.findings)
    counted = ", ".join(render.count(tally[severity], severity) for severity in Severity)
    render.say("")
    render.say(f"{visit.database}: {counted}")


def _print_recipes(config: Config, major: int | None, role: str, *, as_json: bool) -> int:
    def site(alias: str) -> Site:
        database, views = config.databases[alias], config.views_of(alias)
        if major is not None:
            found = imagine(database, views, version=major, role=role)
        else:
            with reach(config, alias) as endpoint:
                found = survey(endpoint, views, role=role)
        return replace(found, throttled=bool(database.throttle.keys))

    sites, code = in_each_database(config.databases, site)
    if as_json:
        render.print_json([_recipe_json(alias, each) for alias, each in sites.items()])
    else:
        for line in "\n".join(map(script, sites.values())).splitlines():
            render.say(line)
    return code


def _recipe_json(alias: str, site: Site) -> dict[str, Any]:
    return {
        "database": alias,
        "major": site.major,
        "sql": [f"{statement};" for part in recipe(site) for statement in part.statements],
    }
