"""What a PostgreSQL error means for a refresh, by SQLSTATE.

Source: postgresql.org/docs, Appendix A "PostgreSQL Error Codes". A failed connection attempt and a
killed backend carry no SQLSTATE at all (found by experiment, psycopg 3.3).
"""

import re

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
    """An error in one printable line, without the query text that libpq may append.

    A row in the message's DETAIL is business data; only the primary message and the hint are kept.
    """
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        notes = filter(None, (error.diag.message_hint, _unqualified_names(error)))
        return _one_line(" ".join((error.diag.message_primary, *(f"({note})" for note in notes))))
    text = str(error).strip()
    return _one_line(text.splitlines()[0]) if text else type(error).__name__


_MISSING = frozenset({"3F000", "42704", "42883", "42P01"})
_IN_FUNCTION = re.compile(r'\bfunction ("[^"]+"|[^"\s(]+)')


def _unqualified_names(error: psycopg.Error) -> str | None:
    """What to do where a function can't find what it names.

    From PostgreSQL 17 on REFRESH and CREATE INDEX look names up in pg_catalog and pg_temp only
    (its release notes, "Migration to Version 17").
    """
    found = _IN_FUNCTION.search(error.diag.context or "")
    if found is None or error.sqlstate not in _MISSING:
        return None
    function = found[1].strip('"')
    return (
        f"in function {function}; PostgreSQL 17 and newer refresh and index with nothing but"
        " pg_catalog on the search_path: write schemas before the names in it, or"
        f" ALTER FUNCTION {function} SET search_path"
    )


_LONGEST = 1000


def _one_line(text: str) -> str:
    """Text of a server or of a user's function as it can be logged, stored and shown anywhere."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
