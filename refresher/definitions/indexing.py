"""Creating and dropping indexes of a view that stands, while its readers go on.

CREATE INDEX CONCURRENTLY runs in no transaction, where nothing can be set for it alone: it gets a
connection of its own, which is thrown away. Behind a transaction pooler even that would set things
for others, and the defaults of the role apply.

postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from refresher.definitions import index_statements, statements
from refresher.definitions.dressing import require_facts
from refresher.definitions.fences import fenced
from refresher.definitions.marks import free_name
from refresher.definitions.model import IndexFacts, Subject
from refresher.definitions.naming import BESIDE, is_made_for
from refresher.definitions.patience import LOCK_TIMEOUT, persist
from refresher.definitions.step import CreateIndex, DropIndex
from refresher.definitions.uniqueness import repeats_explained
from refresher.errors import CatalogError
from refresher.names import RelationName
from refresher.postgres.failures import describe
from refresher.postgres.sessions import (
    Connection,
    connect,
    is_pooled,
    milliseconds,
    set_local,
    set_session,
    short_transaction,
)
from refresher.refresh.session import Session

Tell = Callable[[str], None]


def create_index(session: Session, subject: Subject, step: CreateIndex, tell: Tell) -> None:
    """Create an index as it is desired.

    Raises:
        CatalogError: its name is another relation's.
        RefreshError: (not_unique) rows repeat in what it wants unique.
        psycopg.Error: whatever PostgreSQL says; an index that is half made is dropped.
    """
    assert subject.desired is not None  # noqa: S101 - what has steps has a definition
    index = subject.desired.indexes[step.name]
    tell(f"{subject.label}: index {step.name}")
    try:
        with repeats_explained(subject.label, step.name, index):
            if step.concurrently:
                _create_concurrently(session, subject, step, index, tell)
            else:
                _create_in_transaction(session, subject, step.name, index)
    except psycopg.errors.DuplicateTable as error:
        message = (
            f"the index {step.name!r} can't be created: {describe(error)}; rename what has its name"
        )
        raise CatalogError(message) from error


def drop_index(session: Session, subject: Subject, step: DropIndex, tell: Tell) -> None:
    """Drop an index.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    tell(f"{subject.label}: dropping index {step.name}")
    with _undisturbed(session, subject, tell) as connection:
        index = RelationName(subject.view.relation.schema, step.name)
        connection.execute(index_statements.drop_index(index))


def _create_in_transaction(
    session: Session, subject: Subject, name: str, index: IndexFacts
) -> None:
    connection = session.connection()
    with connection.transaction():
        connection.execute(session.local_settings(subject.view.timeouts))
        connection.execute(statements.default_tablespace(index.tablespace))
        for statement in index_statements.standing_index(index, name, subject.view.relation):
            statements.execute_one(connection, statement)


def _create_concurrently(
    session: Session, subject: Subject, step: CreateIndex, index: IndexFacts, tell: Tell
) -> None:
    relation = subject.view.relation
    with _undisturbed(session, subject, tell) as connection:
        _drop_invalid(connection, relation, step.name)
        if index.tablespace is not None and not is_pooled(connection):
            connection.execute(set_session("default_tablespace", index.tablespace))
        final = RelationName(relation.schema, step.name)
        name = free_name(connection, final, BESIDE) if step.replaces else final
        try:
            for statement in index_statements.standing_index(
                index, name.name, relation, concurrently=True
            ):
                statements.execute_one(connection, statement)
        except psycopg.Error:
            if not connection.broken:
                _drop_invalid(connection, relation, step.name)
            raise
        if step.replaces:
            _exchange(connection, subject.label, name, final, tell)


def _exchange(
    connection: Connection, label: str, beside: RelationName, final: RelationName, tell: Tell
) -> None:
    """Drop an index and give another one its name: both or none."""

    def attempt() -> None:
        with short_transaction(connection):
            connection.execute(set_local("lock_timeout", LOCK_TIMEOUT))
            connection.execute(index_statements.drop_index(final, concurrently=False))
            connection.execute(index_statements.rename_index(beside, final.name))

    persist(attempt, waiting=lambda: tell(f"{label}: waiting for those who use it"))


@contextmanager
def _undisturbed(session: Session, subject: Subject, tell: Tell) -> Iterator[Connection]:
    """A connection to change indexes on, while no refresh of ours is in the way."""
    label = subject.label
    timeouts = subject.view.timeouts
    with (
        fenced(session, [label], lambda: tell(f"{label}: waiting for the end of its refresh")),
        connect(session.endpoint, application=f"refresher {session.worker}") as connection,
    ):
        if not is_pooled(connection):
            for setting, value in session.settings.items():
                connection.execute(set_session(setting, value))
            statement = milliseconds(timeouts.statement)
            connection.execute(set_session("statement_timeout", statement))
            connection.execute(set_session("lock_timeout", milliseconds(timeouts.lock)))
        yield connection


def _drop_invalid(connection: Connection, relation: RelationName, name: str) -> None:
    """Drop what is left of an index that was cut off: it is invalid, and only costs."""
    for invalid in sorted(require_facts(connection, relation).invalid_indexes):
        if invalid == name or is_made_for(invalid, BESIDE):
            connection.execute(index_statements.drop_index(RelationName(relation.schema, invalid)))
