"""Whether a definition works where PostgreSQL 17 and later refresh it: with hardly a search_path.

A function that names a table without its schema is found only when it runs. So the query is run,
for its first row and for some seconds at most, as its refresh will run it: by REFRESH, as the
view's owner, in a transaction that is rolled back. Copies stand in for views that are not yet what
they are to be. Only definitions are tried that use such functions.

postgresql.org/docs/17/release-17.html: "Change functions to use a safe search_path during
maintenance operations"
"""

from collections.abc import Mapping

import psycopg
from psycopg import sql

from refresher.definitions import statements
from refresher.definitions.marks import free_name
from refresher.definitions.model import Subject, stands_as_desired
from refresher.definitions.naming import TRIED
from refresher.errors import FailureReason
from refresher.names import RelationName
from refresher.postgres import identifiers
from refresher.postgres.failures import describe, failure_reason
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, major, set_local

_QUERIES = load_queries("refresher.definitions", "restricted.sql")

_FIRST_MAJOR = 17
_SECONDS = "5s"
_FIRST_ROW = sql.SQL("SELECT * FROM (\n{}\n) AS tried LIMIT 1")
_REFRESH = sql.SQL("REFRESH MATERIALIZED VIEW {}")


def refused_when_refreshed(
    connection: Connection, subjects: Mapping[str, Subject], label: str, twin: int
) -> str | None:
    """Why a refresh of a view would fail for want of a search_path; None if it would not.

    It is also None where that can't be told: it would take too long, or may not be tried.

    Args:
        connection: in a transaction that is to be rolled back.
        subjects: all that matter, each after those it reads.
        label: the view.
        twin: the OID of its temporary twin.
    """
    if major(connection) < _FIRST_MAJOR:
        return None
    row = connection.execute(_QUERIES["risky"], {"oid": twin}).fetchone()
    if not (row and row["risky"]):
        return None
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(set_local("statement_timeout", _SECONDS))
            _try(connection, subjects, label)
    except psycopg.Error as error:
        reason = failure_reason(error)
        if reason is FailureReason.CONNECTION:
            raise
        return describe(error) if reason is FailureReason.DEFINITION else None
    return None


def _try(connection: Connection, subjects: Mapping[str, Subject], label: str) -> None:
    copies: dict[str, RelationName] = {}

    def name(read: str) -> RelationName:
        return copies.get(read, subjects[read].view.relation)

    for copied in (*_passages(subjects, label), label):
        subject = subjects[copied]
        assert subject.template is not None  # noqa: S101 - the caller's are all desired
        assert subject.desired is not None  # noqa: S101 - and so they have facts
        relation = free_name(connection, subject.view.relation, TRIED)
        query = subject.template.query(name).rstrip().removesuffix(";")
        if copied == label:
            query = _FIRST_ROW.format(statements.users(query)).as_string()
        kind = "m" if copied == label else "v"
        statements.execute_one(connection, statements.create(kind, relation, query, {}))
        connection.execute(statements.set_owner(kind, relation, subject.desired.owner))
        copies[copied] = relation
    connection.execute(_REFRESH.format(identifiers.relation(copies[label])))


def _passages(subjects: Mapping[str, Subject], label: str) -> list[str]:
    """What the view would read, through others too, and is not yet what it is to be."""
    found: set[str] = set()
    waiting = [label]
    while waiting:
        for read in subjects[waiting.pop()].reads - found:
            if not stands_as_desired(subjects[read]) and subjects[read].desired is not None:
                found.add(read)
                waiting.append(read)
    return [each for each in subjects if each in found]
