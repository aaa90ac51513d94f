"""The `assert` check: the user's own SQL, which must return true."""

import psycopg
from psycopg.rows import tuple_row

from refresher.errors import FailureReason, RefreshError
from refresher.postgres.failures import describe
from refresher.postgres.sessions import Connection


def evaluate(connection: Connection, assertion: str) -> bool:
    """Run an assertion in the refresh's transaction, where it sees the new contents.

    It runs in a read-only subtransaction and through the extended protocol, so that it can neither
    write nor smuggle in a second statement.

    Raises:
        RefreshError: (check) it fails, or returns something else than one boolean.
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL transaction_read_only = on")
            cursor = connection.cursor(row_factory=tuple_row)
            rows = cursor.execute(assertion.encode(), binary=True).fetchall()
    except (
        psycopg.DataError,
        psycopg.ProgrammingError,
        psycopg.NotSupportedError,
        psycopg.errors.ReadOnlySqlTransaction,
    ) as error:
        message = f"the assertion can't be evaluated: {describe(error)}"
        raise RefreshError(message, reason=FailureReason.CHECK) from error
    match rows:
        case [(bool() as holds,)]:
            return holds
    message = "the assertion must return one row with one boolean"
    raise RefreshError(message, reason=FailureReason.CHECK)
