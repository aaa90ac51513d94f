"""Columns of somebody else's table and what they should be, as two tables to be compared.

Every row of the table has its like, so that none is ever missing or extra.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from psycopg import sql

from refresher.catalog.model import Target
from refresher.config.model import Fills, View
from refresher.names import RelationName
from refresher.postgres import identifiers
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.refresh.columns.staging import parts, read_filled

_QUERIES = load_queries("refresher.refresh.columns", "comparing.sql")

_FILLED = RelationName("pg_temp", "refresher_filled")
_WANTED = RelationName("pg_temp", "refresher_wanted")
_SAMPLED = sql.SQL("ORDER BY random() LIMIT {}")


@contextmanager
def with_columns(
    connection: Connection, target: Target, view: View, fills: Fills, sample: int | None
) -> Iterator[Target]:
    """What stands for a view that fills columns, in the open transaction's snapshot.

    Raises:
        RefreshError: (definition) the table can't be filled as it stands.
        psycopg.Error: whatever PostgreSQL says.
    """
    filled = read_filled(
        connection,
        view=view.name,
        table=fills.table,
        key=view.key,
        columns=fills.columns,
        query=view.relation,
    )
    pieces = {
        **parts(filled),
        "key_names": identifiers.columns(filled.key),
        "sampled": sql.SQL("") if sample is None else _SAMPLED.format(sql.Literal(sample)),
    }
    for name in ("copy", "shape", "want", "index", "analyze"):
        # No parameters: a % in a column's name would be taken for one.
        connection.execute(_QUERIES[name].format(**pieces))
    names = (*filled.key, *filled.columns)
    yield replace(target, relation=_FILLED, query=_WANTED, columns=dict.fromkeys(names, ""))
