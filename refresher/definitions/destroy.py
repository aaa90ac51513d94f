"""Dropping views on purpose: the only way but `prune` by which views of an apply go."""

import time
from collections.abc import Callable, Collection, Mapping

from psycopg import sql

from refresher.config.model import View
from refresher.definitions import statements
from refresher.definitions.dependents import read_dependents, read_reads, unmanaged_readers
from refresher.definitions.facts import read_facts_of
from refresher.definitions.model import RelationFacts
from refresher.definitions.patience import LOCK_TIMEOUT, persist
from refresher.definitions.result import StepOutcome, StepResult
from refresher.definitions.step import Drop
from refresher.errors import CatalogError, PlanError
from refresher.graph import Graph
from refresher.names import RelationName
from refresher.postgres.sessions import Connection, set_local, short_transaction
from refresher.refresh.session import Session
from refresher.store.definition import forget, read_applied


def destroy(
    session: Session,
    views: Mapping[str, View],
    names: Collection[str],
    *,
    allow_drop: Collection[str] = (),
    tell: Callable[[str], None] = lambda _activity: None,
) -> list[StepResult]:
    """Drop views, and forget all that is known of them; all or none.

    Args:
        session: where they are.
        views: the configured ones there.
        names: which to drop: configured ones, or such as were applied once.
        allow_drop: what depends on them and may be dropped, too, as problems name it.
        tell: called with what goes on; what it raises ends it there.

    Raises:
        CatalogError: something is in use all the time.
        PlanError: there is no such view, or something depends on one; nothing was changed.
        psycopg.Error: whatever PostgreSQL says.
    """
    connection = session.connection()
    began = time.monotonic()
    places = _places(connection, views, names)
    standing = read_facts_of(connection, list(places.values()))
    for relation, facts in standing.items():
        if not facts.is_view:
            message = f"{relation} is no view; nothing of it is refresher's to drop"
            raise CatalogError(message)
    drops = _drops(connection, standing, allow_drop)

    def attempt() -> None:
        with short_transaction(connection):
            connection.execute(set_local("lock_timeout", LOCK_TIMEOUT))
            for statement in drops:
                connection.execute(statement)
            for name in places:
                connection.execute(statements.drop_stage(name))
                forget(connection, name)

    listed = ", ".join(places)
    persist(attempt, waiting=lambda: tell(f"{listed}: waiting for those who use it"))
    return [
        StepResult(
            step=Drop(
                views=(name,),
                why=("it was asked for",),
                relation_kind=standing[place].kind,
                bytes=standing[place].bytes,
            ),
            outcome=StepOutcome.DONE,
            detail=None,
            seconds=time.monotonic() - began,
        )
        for name, place in places.items()
        if place in standing
    ]


def _places(
    connection: Connection, views: Mapping[str, View], names: Collection[str]
) -> dict[str, RelationName]:
    """Where views of these names are."""
    known = {name: each.relation for name, each in read_applied(connection).items()}
    known |= {name: view.relation for name, view in views.items()}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        message = (
            f"no view {', '.join(unknown)} is configured here, and none was ever applied; see"
            " `refresher status` for those there are"
        )
        raise PlanError(message)
    return {name: known[name] for name in names}


def _drops(
    connection: Connection,
    standing: Mapping[RelationName, RelationFacts],
    allow_drop: Collection[str],
) -> list[sql.SQL | sql.Composed]:
    """The statements that drop these and what may go with them; readers first.

    Raises:
        PlanError: something else depends on them.
    """
    readers = unmanaged_readers(connection, standing.values())
    found = {each.view.relation: each.standing for each in readers if each.standing is not None}
    everything = {**standing, **found}
    oids = {facts.oid: str(relation) for relation, facts in everything.items()}
    objects = {
        each.name: statements.users(each.drop)
        for each in read_dependents(connection, oids)
        if each.part_of not in oids
    }
    stuck = [name for name in (*map(str, found), *objects) if name not in allow_drop]
    if stuck:
        flags = " ".join(f"--allow-drop {name!r}" for name in stuck)
        message = f"{', '.join(stuck)} would not work any more; change it first, or: {flags}"
        raise PlanError(message)
    labels = {str(relation): facts for relation, facts in everything.items()}
    order = Graph(read_reads(connection, labels), frozenset()).order()
    relations = {str(relation): relation for relation in everything}
    return [
        *objects.values(),
        *(
            statements.drop(everything[relations[label]].kind, relations[label])
            for label in reversed(order)
        ),
    ]
