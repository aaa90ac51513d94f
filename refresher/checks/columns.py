"""Columns and types as PostgreSQL spells them, so that `int` is `integer`, and a schema shows."""

from collections.abc import Iterable

import psycopg
from psycopg import sql

from refresher.checks.judge import Broken, judge_columns
from refresher.config.model import Checks
from refresher.errors import FailureReason
from refresher.names import RelationName
from refresher.postgres.failures import failure_reason
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.checks", "columns.sql")

# The line break ends a comment, if the type is followed by one.
_TYPED = sql.SQL("SELECT CAST(NULL AS {type}\n) WHERE false")
_NO_TYPE = frozenset({FailureReason.DEFINITION, FailureReason.PERMISSION})


def broken_columns(
    connection: Connection, checks: Checks, columns: Iterable[tuple[str, str]]
) -> tuple[Broken, ...]:
    """Judge columns, standing or desired ones, which PostgreSQL has spelled with schemas.

    Raises:
        psycopg.Error: the database went away.
    """
    return judge_columns(checks, tuple(columns), spell_types(connection, checks))


def read_columns(
    connection: Connection, relation: RelationName, *, kind: str
) -> tuple[tuple[str, str], ...] | None:
    """Names and types, in order; None if nothing of this kind (`pg_class.relkind`) stands there."""
    names = {"schema": relation.schema, "name": relation.name}
    with connection.transaction(force_rollback=True):
        connection.execute(_QUERIES["spell_out"])
        row = connection.execute(_QUERIES["columns"], names).fetchone()
    if row is None or row["kind"] != kind:
        return None
    return tuple((name, type_) for name, type_ in row["columns"])


def spell_types(connection: Connection, checks: Checks) -> dict[str, str | None]:
    """The types that `checks.columns` names, each with its spelling; None where there is none."""
    written = {column.type for column in checks.columns if column.type is not None}
    return {name: _spell(connection, name) for name in sorted(written)}


def _spell(connection: Connection, written: str) -> str | None:
    try:
        with connection.transaction(force_rollback=True):
            row = connection.execute(_QUERIES["known_type"], {"type": written}).fetchone()
            oid = row and row["oid"]
            if oid is None:
                return None
            # It is the name of a type, and nothing besides, so it can be put into a statement. Only
            # there PostgreSQL 16 and older tell what stands in parentheses, and of a domain none
            # does: they describe the type that is under it.
            cursor = connection.execute(_TYPED.format(type=sql.SQL(written)))
            result = cursor.pgresult
            modified = result is not None and result.ftype(0) == oid
            modifier = result.fmod(0) if result is not None and modified else -1
            connection.execute(_QUERIES["spell_out"])
            named = {"oid": oid, "modifier": modifier}
            row = connection.execute(_QUERIES["spell_type"], named).fetchone()
            return row["spelled"] if row else None
    except psycopg.Error as error:
        if failure_reason(error) in _NO_TYPE:
            return None
        raise
