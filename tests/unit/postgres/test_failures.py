from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from refresher.errors import FailureReason, RefreshError
from refresher.postgres.failures import breaks_connection, describe, failure_reason


def _raised(sqlstate: str) -> psycopg.Error:
    return psycopg.errors.lookup(sqlstate)("told by the server")


class _Told(psycopg.Error):
    """An error with the fields a server sends, which psycopg offers no way to set."""

    def __init__(self, sqlstate: str | None, **fields: str) -> None:
        super().__init__(fields.get("message_primary", ""))
        self.sqlstate = sqlstate
        self._fields = fields

    @property
    def diag(self) -> Any:
        names = ("message_primary", "message_detail", "message_hint", "context")
        return SimpleNamespace(**{name: self._fields.get(name) for name in names})


@pytest.mark.parametrize(
    ("sqlstate", "reason"),
    [
        ("08006", FailureReason.CONNECTION),
        ("08P01", FailureReason.CONNECTION),  # pgbouncer's query_wait_timeout
        ("0A000", FailureReason.DEFINITION),  # CONCURRENTLY on an unpopulated view
        ("21000", FailureReason.NOT_UNIQUE),
        ("22012", FailureReason.DEFINITION),
        ("23505", FailureReason.NOT_UNIQUE),
        ("25006", FailureReason.CONNECTION),  # a demoted primary
        ("25P03", FailureReason.CONNECTION),
        ("25P04", FailureReason.CONNECTION),
        ("28P01", FailureReason.PERMISSION),
        ("3D000", FailureReason.DEFINITION),
        ("3F000", FailureReason.DEFINITION),
        ("40001", FailureReason.SERIALIZATION),
        ("40P01", FailureReason.DEADLOCK),
        ("42501", FailureReason.PERMISSION),
        ("42601", FailureReason.DEFINITION),
        ("42703", FailureReason.DEFINITION),
        ("42809", FailureReason.DEFINITION),  # LOCK of a materialized view
        ("42883", FailureReason.DEFINITION),
        ("42P01", FailureReason.DEFINITION),
        ("53100", FailureReason.DISK_FULL),
        ("53200", FailureReason.RESOURCES),
        ("53300", FailureReason.RESOURCES),
        ("54001", FailureReason.DEFINITION),
        ("55000", FailureReason.DEFINITION),  # no unique index for CONCURRENTLY
        ("55P03", FailureReason.LOCK_TIMEOUT),
        ("57014", FailureReason.STATEMENT_TIMEOUT),
        ("57P01", FailureReason.CONNECTION),
        ("57P02", FailureReason.CONNECTION),
        ("57P03", FailureReason.CONNECTION),
        ("58030", FailureReason.RESOURCES),
        ("P0001", FailureReason.OTHER),
        ("XX000", FailureReason.OTHER),
    ],
)
def test_a_sqlstate_has_a_reason(sqlstate: str, reason: FailureReason) -> None:
    error = _raised(sqlstate)

    assert error.sqlstate == sqlstate
    assert failure_reason(error) is reason
    assert breaks_connection(error) is (reason is FailureReason.CONNECTION)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (psycopg.OperationalError("server closed the connection"), FailureReason.CONNECTION),
        (psycopg.InterfaceError("the connection is closed"), FailureReason.CONNECTION),
        (psycopg.ProgrammingError("2 placeholders but 1 parameter"), FailureReason.OTHER),
        (ValueError("a bug"), FailureReason.OTHER),
        (RefreshError("a check", reason=FailureReason.CHECK), FailureReason.OTHER),
    ],
)
def test_without_a_sqlstate_the_kind_of_error_decides(
    error: Exception, reason: FailureReason
) -> None:
    assert failure_reason(error) is reason


def test_a_description_keeps_message_and_hint_and_leaves_rows_out() -> None:
    error = _Told(
        "23505",
        message_primary="could not create unique index",
        message_detail="Key (email)=(ada@example.com) is duplicated.",
        message_hint="Clean up.",
    )

    assert describe(error) == "could not create unique index (Clean up.)"


def test_a_description_is_one_printable_line() -> None:
    error = _Told("P0001", message_primary="two\nlines \x1b[31m and\tmore\u2028of it")

    assert describe(error) == "two lines [31m and more of it"


def test_a_description_is_never_a_flood() -> None:
    assert len(describe(_Told("P0001", message_primary="x" * 1_000_000))) == 1001


def test_an_error_without_fields_is_described_by_its_first_line() -> None:
    text = "connection failed: Connection refused\n\tIs the server running?"

    assert describe(psycopg.OperationalError(text)) == "connection failed: Connection refused"
    assert describe(psycopg.OperationalError(" ")) == "OperationalError"


@pytest.mark.parametrize(
    ("context", "function"),
    [
        ('SQL function "total" during inlining', "total"),
        ("PL/pgSQL function crm.total(integer) line 1 at RETURN", "crm.total"),
    ],
)
def test_what_a_function_misses_is_explained(context: str, function: str) -> None:
    error = _Told("42P01", message_primary='relation "customers" does not exist', context=context)

    told = describe(error)

    assert told.startswith('relation "customers" does not exist (in function')
    assert f"ALTER FUNCTION {function} SET search_path" in told


@pytest.mark.parametrize(
    ("sqlstate", "context"),
    [("42P01", ""), ("42P01", "PL/pgSQL assignment"), ("22012", 'SQL function "f" statement 1')],
)
def test_other_errors_are_not_explained_so(sqlstate: str, context: str) -> None:
    error = _Told(sqlstate, message_primary="no", context=context)

    assert describe(error) == "no"
