"""Whether columns can be filled from a definition: PostgreSQL is asked, nothing is done."""

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql

from refresher.catalog.fillable import why_not_fillable
from refresher.config.model import Fills, View
from refresher.definitions import statements
from refresher.graph import Graph
from refresher.names import RelationName, quoted
from refresher.postgres import identifiers
from refresher.postgres.failures import describe
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.definitions", "fillable.sql")

# Planned, and not carried out: the one who knows whether a type can be assigned is PostgreSQL.
# And whether a rule of the table stands in the way: it is written to as a batch writes.
_ASSIGN = sql.SQL(
    "EXPLAIN WITH written AS (UPDATE {table} AS t SET {assignments} FROM {query} AS q"
    " WHERE {match} RETURNING t.{column}) SELECT FROM written"
)
_COMMA, _AND = sql.SQL(", "), sql.SQL(" AND ")
_SAME = sql.SQL("{to} = q.{name}")
# An index takes immutable expressions only; of one on no column it is enough to try.
_PROBE = sql.SQL("CREATE TEMPORARY TABLE refresher_probe (); ")
_IS_CONSTANT = sql.SQL("CREATE INDEX ON pg_temp.refresher_probe (({default}))")


def refused_when_filled(
    connection: Connection, view: View, fills: Fills, query: RelationName
) -> list[str]:
    """Why columns can't be filled from what a query returns; none if they can be.

    Args:
        connection: in a transaction that is to be rolled back.
        view: by whose key.
        fills: what it fills.
        query: a view that has its query.

    Raises:
        psycopg.Error: the database went away.
    """
    problems = [
        *why_not_fillable(connection, fills.table, view.key, fills.columns),
        *_not_returned(connection, (*view.key, *fills.columns), query),
    ]
    return problems or [
        *_unassignable(connection, view, fills, query),
        *_changing_defaults(connection, fills),
    ]


def read_back(graph: Graph, view: View) -> str | None:
    """Whether a query reads what is made of it: it would never come to rest."""
    upstreams = graph.all_upstreams(view.name)
    if view.name not in upstreams:
        return None
    through = sorted(
        name for name in upstreams - {view.name} if view.name in graph.all_upstreams(name)
    )
    way = "".join(f", through {name}" for name in through)
    return f"it reads the columns it fills{way}; let it read what they are made from"


def _not_returned(
    connection: Connection, names: Sequence[str], query: RelationName
) -> Iterator[str]:
    wanted = {"names": list(names), "query": str(query)}
    for row in connection.execute(_QUERIES["not_returned"], wanted).fetchall():
        yield f"its query returns no column {quoted(row['name'])}; name one of its columns so"


def _unassignable(
    connection: Connection, view: View, fills: Fills, query: RelationName
) -> Iterator[str]:
    statement = _ASSIGN.format(
        table=identifiers.relation(fills.table),
        query=identifiers.relation(query),
        column=sql.Identifier(fills.columns[0]),
        assignments=_COMMA.join(
            _SAME.format(to=sql.Identifier(name), name=sql.Identifier(name))
            for name in fills.columns
        ),
        match=_AND.join(
            _SAME.format(to=sql.Identifier("t", name), name=sql.Identifier(name))
            for name in view.key
        ),
    )
    error = _refusal(connection, statement)
    if error is not None:
        yield f"{fills.table} can't be filled from it: {describe(error)}"


def _changing_defaults(connection: Connection, fills: Fills) -> Iterator[str]:
    wanted = {
        "schema": fills.table.schema,
        "name": fills.table.name,
        "columns": list(fills.columns),
    }
    for row in connection.execute(_QUERIES["defaults"], wanted).fetchall():
        # PostgreSQL wrote the default.
        probe = _PROBE + _IS_CONSTANT.format(default=sql.SQL(row["default"]))
        if isinstance(_refusal(connection, probe), psycopg.errors.InvalidObjectDefinition):
            yield (
                f"the default of {row['name']} in {fills.table} ({row['default']}) is another one"
                " each time, so that rows without a value would never come to rest; drop it"
            )


def _refusal(connection: Connection, statement: sql.Composed) -> psycopg.Error | None:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except psycopg.Error as error:
        statements.require_refusal(error)
        return error
    return None
