"""What a PostgreSQL error means for a refresh, by SQLSTATE.

Source: postgresql.org/docs, Appendix A "PostgreSQL Error Codes". A failed connection attempt and a
killed backend carry no SQLSTATE at all (found by experiment, psycopg 3.3).
"""

import psycopg

from refresher.errors import FailureReason

_BY_STATE = {
    "21000": FailureReason.NOT_UNIQUE,  # CONCURRENTLY met two equal rows
    "23505": FailureReason.NOT_UNIQUE,
    "25006": FailureReason.CONNECTION,  # a demoted primary still answers
    "25P03": FailureReason.CONNECTION,  # idle_in_transaction_session_timeout
    "25P04": FailureReason.CONNECTION,  # transaction_timeout, PG 17+
    "40001": FailureReason.SERIALIZATION,
    "40P01": FailureReason.DEADLOCK,
    "42501": FailureReason.PERMISSION,
    "53100": FailureReason.DISK_FULL,
    "55000": FailureReason.DEFINITION,  # no usable unique index; an unpopulated upstream
    "55P03": FailureReason.LOCK_TIMEOUT,
    "57014": FailureReason.STATEMENT_TIMEOUT,
    "58030": FailureReason.RESOURCES,  # I/O error
}
_BY_CLASS = {
    "08": FailureReason.CONNECTION,
    "0A": FailureReason.DEFINITION,
    "22": FailureReason.DEFINITION,  # the query divides by zero, casts what can't be cast, …
    "28": FailureReason.PERMISSION,
    "3D": FailureReason.DEFINITION,
    "3F": FailureReason.DEFINITION,
    "42": FailureReason.DEFINITION,
    "53": FailureReason.RESOURCES,
    "54": FailureReason.DEFINITION,
    "57": FailureReason.CONNECTION,
}


def failure_reason(error: BaseException) -> FailureReason:
    """Classify an error that ended a refresh."""
    if not isinstance(error, psycopg.Error):
        return FailureReason.OTHER
    state = error.sqlstate
    if state is None:
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return FailureReason.CONNECTION if lost else FailureReason.OTHER
    if state in _BY_STATE:
        return _BY_STATE[state]
    return _BY_CLASS.get(state[:2], FailureReason.OTHER)


def breaks_connection(error: psycopg.Error) -> bool:
    """Whether the connection that raised this must be thrown away, whatever its status says."""
    return failure_reason(error) is FailureReason.CONNECTION


def describe(error: BaseException) -> str:
    """An error in one line, without the query text that libpq may append.

    A row in the message's DETAIL is business data; only the primary message and the hint are kept.
    """
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
        return f"{error.diag.message_primary}{hint}"
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
