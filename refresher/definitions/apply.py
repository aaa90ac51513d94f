"""Creating what is missing, and making owner, grants and comments what the definitions say.

Nothing is ever dropped, and nothing that stands is redefined: a definition that differs from what
stands is reported. Running it again changes nothing; interrupted anywhere, it goes on when run
again. Several may run at once: what one creates, the others find.
"""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass

import psycopg

from refresher.catalog.introspection import read_graph
from refresher.config.model import Kind, View
from refresher.definitions import steps
from refresher.definitions.compare import Aspect, Drift, compare, note_blocked, note_unknown
from refresher.definitions.facts import read_facts
from refresher.definitions.populate import Populator
from refresher.definitions.simulate import Simulation, simulate
from refresher.errors import CatalogError, RefreshError
from refresher.postgres.failures import breaks_connection, describe
from refresher.store.registry import register


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was done to one view, and what was found and left alone."""

    view: str
    done: tuple[str, ...]
    drift: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()
    """What somebody should know although nothing is wrong."""
    error: str | None = None
    """Why it could not be completed; what was done before stays, and the next apply goes on."""


def apply(
    populator: Populator,
    *,
    only: Container[str] | None = None,
    tell: Callable[[str, str], None] = lambda _view, _step: None,
    done: Callable[[Applied], None] = lambda _applied: None,
) -> list[Applied]:
    """Apply the definitions of one database, upstream first.

    Args:
        populator: knows the database and its views.
        only: the views to apply; every definition is simulated all the same.
        tell: called with view and step before each step, to show progress; what it raises ends
            the apply there.
        done: called with each result as soon as it stands.

    Raises:
        CatalogError: schemas, roles or privileges are missing; nothing was changed.
        ConfigError: PostgreSQL refuses a definition; nothing was changed.
        PlanError: the definitions are a circle; nothing was changed.
        psycopg.Error: the database went away; the next apply goes on.
    """
    views = populator.views
    simulation = simulate(populator.session.connection(), views)
    applied = []
    for name in simulation.order:
        if only is None or name in only:
            applied.append(_apply_one(populator, views[name], simulation, tell))
            done(applied[-1])
    connection = populator.session.connection()
    graph = read_graph(connection, views)
    register(connection, views, graph, max_parallel=populator.database.max_parallel)
    return applied


def _apply_one(
    populator: Populator, view: View, simulation: Simulation, tell: Callable[[str, str], None]
) -> Applied:
    done: list[str] = []
    drift: list[Drift] = []
    error: str | None = None
    try:
        for step in _steps(populator, view, simulation, lambda step: tell(view.name, step)):
            done.append(step)  # noqa: PERF402 - those before a failure are kept
        standing = read_facts(populator.session.connection(), view.relation)
        drift = compare(view, simulation.desired[view.name], standing)
    except psycopg.errors.LockNotAvailable as failure:
        error = f"{describe(failure)}: somebody is using it; apply again"
    except psycopg.Error as failure:
        if breaks_connection(failure):
            raise
        error = describe(failure)
    except (CatalogError, RefreshError) as failure:
        error = str(failure)
    return Applied(
        view=view.name,
        done=tuple(done),
        drift=tuple(drift),
        notes=(
            *note_unknown(simulation.graph, view),
            *note_blocked(view, simulation.standing[view.name]),
        ),
        error=error,
    )


def _steps(
    populator: Populator, view: View, simulation: Simulation, tell: Callable[[str], None]
) -> Iterator[str]:
    """Take the steps that one view needs, telling what was done."""
    session, desired = populator.session, simulation.desired[view.name]
    if simulation.standing[view.name] is None:
        tell("create")
        yield from steps.create(session.connection(), view, desired)
    standing = steps.require_facts(session.connection(), view)
    if standing.kind != desired.kind:
        return
    aspects = {found.aspect for found in compare(view, desired, standing)}
    if aspects & {Aspect.OWNER, Aspect.GRANTS, Aspect.COMMENT}:
        tell("owner, grants and comment")
        yield from steps.dress(session.connection(), view)
    if view.kind is Kind.MATERIALIZED_VIEW and Aspect.DEFINITION not in aspects:
        tell("populate")
        yield from populator.populate(view)
        yield from steps.furnish(session, view, desired, tell)
