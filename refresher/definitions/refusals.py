"""Why definitions can't be created: something is missing or refused, or they are a circle."""

from collections.abc import Mapping, Sequence

import psycopg

from refresher.config.model import View
from refresher.definitions import statements
from refresher.definitions.shadow import mentions
from refresher.definitions.twins import Twins
from refresher.graph import Graph
from refresher.postgres.failures import describe
from refresher.postgres.sessions import Connection

_MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)


def explain(
    connection: Connection, twins: Twins, views: Mapping[str, View], left: Sequence[str]
) -> list[str]:
    """Say why none of these views can be created next, leaving out the victims of others.

    With stand-ins for all of them, what a view still misses is none of them; and one whose query
    PostgreSQL takes then tells what it reads.

    Raises:
        PlanError: they read each other in a circle.
    """
    edges: dict[str, frozenset[str]] = {}
    faults = []
    for name in left:
        error, reads = _tried(connection, twins, views[name], left)
        if reads:
            edges[name] = reads
        elif error is not None:
            faults.append(located(twins, views[name], error))
    if not faults:
        Graph(edges, frozenset()).order()
    return faults


def _tried(
    connection: Connection, twins: Twins, view: View, left: Sequence[str]
) -> tuple[psycopg.Error | None, frozenset[str]]:
    """What PostgreSQL says of a query, and which of the views that are left it reads."""
    error, reads = _attempt(connection, twins, view, left)
    if error is None or isinstance(error, _MISSING):
        return error, reads
    # A stand-in may lack columns, so that this need not be the query's own fault: it reads those
    # without which a relation is missing, and where one stands, those it names.
    missed = {
        name
        for name in left
        if isinstance(
            _attempt(connection, twins, view, [other for other in left if other != name])[0],
            _MISSING,
        )
    }
    words = mentions(view.query)
    named = {name for name in left if twins.stands(name) and twins.name(name) in words}
    return error, frozenset(missed | named - {view.name})


def _attempt(
    connection: Connection, twins: Twins, view: View, stand_ins: Sequence[str]
) -> tuple[psycopg.Error | None, frozenset[str]]:
    with connection.transaction(force_rollback=True):
        for name in stand_ins:
            twins.stand_in(name)
        try:
            found = twins.probe(view.query)
        except psycopg.Error as error:
            statements.require_refusal(error)
            return error, frozenset()
        finally:
            for name in stand_ins:
                twins.forget(name)
    return None, found.twins & frozenset(stand_ins)


def located(twins: Twins, view: View, error: psycopg.Error) -> str:
    """The message with the line of the file that PostgreSQL points at."""
    where = str(view.query_path)
    position = error.diag.statement_position
    if position is not None:
        offset = twins.position(view.query, int(position))
        if 0 <= offset <= len(view.query):
            line = view.query.count("\n", 0, offset) + 1
            where = f"{where}:{line}"
    return f"{where}: PostgreSQL refuses the definition of {view.name!r}: {describe(error)}"
