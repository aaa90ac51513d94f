"""Several statements as one message: each of them costs the server, but only one of them the wait.

Parameters are put into the text by libpq's quoting, since the protocol binds them to a message of
one statement only. The server runs what comes in one message one after the other, each with its own
place in time, and stops at the first that fails; outside a transaction it makes one of all of them.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from refresher.postgres.sessions import Connection


def together(*statements: sql.SQL) -> sql.SQL:
    """These statements as one text."""
    return sql.SQL(";\n".join(statement.as_string() for statement in statements))


def ask_together(
    connection: Connection, statements: sql.SQL, parameters: Mapping[str, Any]
) -> list[list[DictRow]]:
    """Send statements as one message, and return the rows of each.

    Raises:
        psycopg.Error: one of them failed; what others of them returned is lost.
    """
    cursor = psycopg.ClientCursor(connection, row_factory=connection.row_factory)
    cursor.execute(statements, parameters)
    return [result.fetchall() for result in cursor.results()]
