"""Several statements, one after the other, as cheaply as the road to the server allows.

Where nothing is in between they are prepared: planning ours takes longer than running them. Behind
a pooler, where the next transaction may be another server process's, they go as one message, so
that each of them costs the server but only one of them the way. The protocol binds parameters to a
message of one statement only, so they are put into the text by libpq's quoting. Outside a
transaction the server makes one of all statements in a message: nothing may depend on that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import DictRow
from psycopg.types.numeric import Int8

from refresher.postgres.sessions import Connection

_SEPARATOR = sql.SQL(";\n")


def ask_together(
    connection: Connection, statements: Sequence[sql.SQL], parameters: Mapping[str, Any]
) -> list[list[DictRow]]:
    """Run statements with the same parameters, and return the rows of each.

    Raises:
        psycopg.Error: one of them failed; those after it were not run.
    """
    if connection.prepare_threshold is None:
        cursor = psycopg.ClientCursor(connection, row_factory=connection.row_factory)
        cursor.execute(_SEPARATOR.join(statements), parameters)
        return [result.fetchall() for result in cursor.results()]
    # Small numbers would come as smallint, and a statement is prepared for each choice of types.
    typed = {
        name: Int8(value) if type(value) is int else value for name, value in parameters.items()
    }
    return [
        connection.execute(statement, typed, prepare=True).fetchall() for statement in statements
    ]
