"""`refresher validate`: is the configuration right, and does PostgreSQL accept the definitions?"""

from collections.abc import Sequence
from dataclasses import dataclass

import click

from refresher.cli import render
from refresher.cli.context import load, reach
from refresher.cli.parameters import Command, config_option, json_option
from refresher.config.model import Config
from refresher.definitions.breaking import would_break
from refresher.definitions.compare import Drift, compare, note_blocked, note_unknown
from refresher.definitions.simulate import simulate
from refresher.definitions.simulation import Simulation
from refresher.errors import ConfigError, RefresherError
from refresher.postgres.sessions import connect
from refresher.schedule.aims import Infeasible
from refresher.schedule.usual import read_infeasible


@click.command(
    "validate",
    cls=Command,
    short_help="Check the configuration; with --database also against the server.",
    help="Check the configuration and every definition, without a database.\n\n"
    "With --database the definitions are created on the server too, in a transaction that is"
    " rolled back. What differs from what stands is told, and is no error; columns that break a"
    " check are one.",
    examples={
        "refresher validate": "offline, in a commit hook for one",
        "refresher validate --database": "before a deployment",
        "refresher validate --config other.yaml --json": "another file, for programs",
    },
)
@click.option("--database", "on_server", is_flag=True, help="Ask PostgreSQL, too.")
@config_option
@json_option
@click.pass_context
def command(context: click.Context, *, on_server: bool, as_json: bool) -> int:
    """Check the configuration."""
    errors: list[RefresherError] = []
    drift: list[tuple[str, Drift]] = []
    notes: list[str] = []
    config: Config | None = None
    try:
        config = load(context)
    except RefresherError as error:
        errors.append(error)
    if config is not None and not on_server:
        notes += [
            f"{view.name}: {note}"
            for view in config.views.values()
            for note in note_blocked(view, standing=None)
        ]
    if config is not None and on_server:
        for alias in config.databases:
            try:
                simulated = _simulate(config, alias)
                if simulated.broken:
                    errors.append(ConfigError("\n".join(simulated.broken)))
                drift += [(alias, found) for found in _drift(config, simulated.simulation)]
                notes += _notes(config, simulated)
            except RefresherError as error:
                errors.append(error)
    if as_json:
        render.print_json(
            {
                "valid": not errors,
                "views": len(config.views) if config else None,
                "databases": len(config.databases) if config else None,
                "errors": [line for error in errors for line in str(error).split("\n")],
                "drift": _drift_json(drift) if on_server and config else None,
                "notes": notes,
            }
        )
    else:
        for note in notes:
            render.say(note)
        _print(config, errors, drift, on_server=on_server)
    return max((error.exit_code for error in errors), default=0)


@dataclass(frozen=True, slots=True)
class _Simulated:
    simulation: Simulation
    broken: tuple[str, ...]
    """The checks of columns that the definitions would break."""
    infeasible: tuple[Infeasible, ...]


def _simulate(config: Config, alias: str) -> _Simulated:
    """What the definitions of one database mean."""
    views = config.views_of(alias)
    with reach(config, alias) as endpoint, connect(endpoint) as connection:
        simulation = simulate(connection, views)
        return _Simulated(
            simulation,
            would_break(connection, views, simulation.desired),
            read_infeasible(connection, views, simulation.graph),
        )


def _drift(config: Config, simulation: Simulation) -> list[Drift]:
    return [
        found
        for name in simulation.order
        for found in compare(
            config.views[name], simulation.desired[name], simulation.standing[name]
        )
    ]


def _notes(config: Config, simulated: _Simulated) -> list[str]:
    simulation = simulated.simulation
    notes = [
        f"{name}: {note}"
        for name in simulation.order
        for note in (
            *note_unknown(simulation.graph, config.views[name]),
            *note_blocked(config.views[name], simulation.standing[name]),
        )
    ]
    return notes + [f"{found.view}: {found.problem}" for found in simulated.infeasible]


def _print(
    config: Config | None,
    errors: Sequence[RefresherError],
    drift: Sequence[tuple[str, Drift]],
    *,
    on_server: bool,
) -> None:
    for error in errors:
        render.complain(error)
    for _, found in drift:
        render.say(f"{found.view}: {found.message}")
    if config is None or errors:
        return
    checked = f"{render.count(len(config.views), 'view')}, "
    checked += f"{render.count(len(config.databases), 'database')}: valid"
    if on_server:
        checked += "; PostgreSQL accepts every definition"
    if drift:
        checked += "; `refresher apply` brings it up to them"
    render.say(checked)


def _drift_json(drift: Sequence[tuple[str, Drift]]) -> list[dict[str, str]]:
    return [
        {"database": alias, "view": each.view, "aspect": each.aspect, "message": each.message}
        for alias, each in drift
    ]
