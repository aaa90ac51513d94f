"""Whether a query reads what is made of it: it would never come to rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.catalog", "read_back.sql")


@dataclass(frozen=True, slots=True)
class FilledColumn:
    """A column that another query fills."""

    table: int
    column: str
    query: int
    """The OID of the view that has the query."""


def columns_read_back(
    connection: Connection,
    query: int,
    table: int,
    columns: Sequence[str],
    *,
    filled: Sequence[FilledColumn] = (),
) -> tuple[str, ...]:
    """Those of a table's columns that a view reads, in their order.

    Directly, or through plain views, or through what is `filled` by others. A view that takes rows
    as a whole is held to read all columns of every table that is in it. What functions read is
    nowhere to be seen.

    Args:
        connection: where they are.
        query: the OID of the view.
        table: the OID of the table.
        columns: names of columns of it.
        filled: what others fill.
    """
    rows = connection.execute(
        _QUERIES["read_back"],
        {
            "query": query,
            "table": table,
            "columns": list(columns),
            "filled": [each.table for each in filled],
            "filled_columns": [each.column for each in filled],
            "queries": [each.query for each in filled],
        },
    )
    return tuple(row["name"] for row in rows)
