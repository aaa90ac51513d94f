"""Creating what is missing, and making owner, grants and comments what the definitions say.

Nothing is ever dropped, and nothing that stands is redefined: a definition that differs from what
stands is reported. Running it again changes nothing; interrupted anywhere, it goes on when run
again.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass

import psycopg

from refresher.catalog.introspection import read_graph
from refresher.config.model import Kind, View
from refresher.definitions import statements
from refresher.definitions.compare import Aspect, Drift, compare, wanted_grants
from refresher.definitions.facts import read_facts
from refresher.definitions.model import RelationFacts
from refresher.definitions.populate import Populator
from refresher.definitions.simulate import Simulation, simulate
from refresher.errors import CatalogError, RefreshError
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, set_local, short_transaction
from refresher.store.registry import register

_QUERIES = load_queries("refresher.definitions", "facts.sql")

# Creating, granting and changing an owner take an ACCESS EXCLUSIVE lock: give way to readers early.
_LOCK_TIMEOUT = "300ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was done to one view, and what was found and left alone."""

    view: str
    done: tuple[str, ...]
    drift: tuple[Drift, ...] = ()
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
        ConfigError: PostgreSQL refuses a definition; nothing was changed.
        PlanError: the definitions are a circle; nothing was changed.
        psycopg.Error: the database went away; the next apply goes on.
    """
    connection, views = populator.session.connection(), populator.views
    simulation = simulate(connection, views)
    applied = []
    for name in simulation.order:
        if only is None or name in only:
            applied.append(_apply_one(populator, views[name], simulation, tell))
            done(applied[-1])
    graph = read_graph(connection, views)
    register(connection, views, graph, max_parallel=populator.database.max_parallel)
    return applied


def _apply_one(
    populator: Populator, view: View, simulation: Simulation, tell: Callable[[str, str], None]
) -> Applied:
    connection = populator.session.connection()
    done: list[str] = []
    desired = simulation.desired[view.name]
    try:
        drift = compare(view, desired, simulation.standing[view.name])
        if any(found.aspect is Aspect.MISSING for found in drift):
            tell(view.name, "create")
            done += _create(connection, view)
            drift = compare(view, desired, read_facts(connection, view.relation))
        if any(found.aspect is Aspect.DEFINITION for found in drift):
            return Applied(view=view.name, done=tuple(done), drift=tuple(drift))
        if any(found.aspect in {Aspect.OWNER, Aspect.GRANTS, Aspect.COMMENT} for found in drift):
            tell(view.name, "owner, grants and comment")
            done += _dress(connection, view)
        if view.kind is Kind.MATERIALIZED_VIEW:
            tell(view.name, "populate")
            populated = populator.populate(view)
            done += [populated] if populated else []
            done += _index(connection, view, desired, tell)
        left = compare(view, desired, read_facts(connection, view.relation))
    except psycopg.Error as error:
        if breaks_connection(error):
            raise
        return Applied(view=view.name, done=tuple(done), error=describe(error))
    except (CatalogError, RefreshError) as error:
        return Applied(view=view.name, done=tuple(done), error=str(error))
    return Applied(view=view.name, done=tuple(done), drift=tuple(left))


def _create(connection: Connection, view: View) -> list[str]:
    """Create an empty view that nobody but its owner may read yet, with all that belongs to it."""
    with short_transaction(connection):
        connection.execute(_QUERIES["serialize_apply"])
        if read_facts(connection, view.relation) is not None:
            return []
        statements.execute_one(connection, statements.create(view, view.relation))
        if view.owner is not None:
            connection.execute(statements.set_owner(view, view.owner))
        facts = _stands(connection, view)
        # ALTER DEFAULT PRIVILEGES may have opened it to others the moment it was created.
        for role in facts.grants:
            connection.execute(statements.revoke_all(view, role))
        for role, privileges in (view.grants or {}).items():
            connection.execute(statements.grant(view, role, privileges))
        if view.comment is not None:
            connection.execute(statements.set_comment(view, view.comment))
    return ["created"]


def _dress(connection: Connection, view: View) -> list[str]:
    """Set owner, grants and comment of a view that stands."""
    done = []
    with short_transaction(connection):
        connection.execute(set_local("lock_timeout", _LOCK_TIMEOUT))
        facts = _stands(connection, view)
        if view.owner not in {None, facts.owner}:
            connection.execute(statements.set_owner(view, view.owner or ""))
            done.append(f"owner {view.owner}")
            facts = _stands(connection, view)
        wanted = wanted_grants(view, facts.owner)
        if view.grants is not None and wanted != dict(facts.grants):
            for role in facts.grants:
                connection.execute(statements.revoke_all(view, role))
            for role, privileges in view.grants.items():
                connection.execute(statements.grant(view, role, privileges))
            done.append("grants")
        if view.comment not in {None, facts.comment}:
            connection.execute(statements.set_comment(view, view.comment or ""))
            done.append("comment")
    return done


def _index(
    connection: Connection,
    view: View,
    desired: RelationFacts,
    tell: Callable[[str, str], None],
) -> list[str]:
    """Create the indexes that are missing, then gather the statistics a new view lacks."""
    standing = _stands(connection, view)
    present = set(standing.indexes.values())
    done = []
    for name, index in statements.wanted_indexes(view).items():
        if desired.indexes[name] in present or name in standing.indexes:
            continue
        tell(view.name, f"index {name}")
        statements.execute_one(connection, statements.create_index(index, name, view.relation))
        done.append(f"index {name}")
    if done or not _has_statistics(connection, standing):
        tell(view.name, "analyze")
        connection.execute(statements.analyze(view))
        done.append("analyzed")
    return done


def _has_statistics(connection: Connection, standing: RelationFacts) -> bool:
    row = connection.execute(_QUERIES["analyzed"], {"oid": standing.oid}).fetchone()
    return bool(row and row["analyzed"])


def _stands(connection: Connection, view: View) -> RelationFacts:
    facts = read_facts(connection, view.relation)
    if facts is None:
        message = f"{view.relation} was dropped by somebody else meanwhile; apply again"
        raise CatalogError(message)
    return facts
