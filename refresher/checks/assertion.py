"""The `assert` check: the user's own SQL, which must return true."""

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from refresher.errors import FailureReason, RefreshError
from refresher.postgres.failures import describe, failure_reason
from refresher.postgres.sessions import Connection, hide_store, set_local

# Within parentheses it can only ask: there is no COMMIT there, and no second statement.
_QUESTION = sql.SQL("SELECT (\n{assertion}\n)")

_PASSING = frozenset(
    {
        FailureReason.CONNECTION,
        FailureReason.DEADLOCK,
        FailureReason.DISK_FULL,
        FailureReason.LOCK_TIMEOUT,
        FailureReason.RESOURCES,
        FailureReason.SERIALIZATION,
        FailureReason.STATEMENT_TIMEOUT,
    }
)
"""Failures that say nothing about the assertion."""


def evaluate(connection: Connection, assertion: str) -> bool:
    """Run an assertion in the refresh's transaction, where it sees the new contents.

    It runs in a read-only subtransaction and through the extended protocol, so that it can neither
    write nor smuggle in a second statement.

    Raises:
        RefreshError: (check) it fails, or returns something else than one boolean.
        psycopg.Error: the refresh fails, whatever is asserted.
    """
    question = _QUESTION.format(assertion=sql.SQL(assertion))
    try:
        with connection.transaction(force_rollback=True):
            hide_store(connection)
            connection.execute(set_local("transaction_read_only", "on"))
            rows = (
                connection.cursor(row_factory=tuple_row).execute(question, binary=True).fetchall()
            )
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise _unevaluable(error) from error
    except psycopg.Error as error:
        if failure_reason(error) in _PASSING:
            raise
        raise _unevaluable(error) from error
    match rows:
        case [(bool() as holds,)]:
            return holds
    message = "the assertion must return one row with one boolean"
    raise RefreshError(message, reason=FailureReason.CHECK)


def _unevaluable(error: psycopg.Error) -> RefreshError:
    message = f"the assertion can't be evaluated: {describe(error)}"
    return RefreshError(message, reason=FailureReason.CHECK)
