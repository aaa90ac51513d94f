"""Questions that checks ask of PostgreSQL: they can only read, and may fail without ending more."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from refresher.errors import FailureReason, RefreshError
from refresher.names import RelationName
from refresher.postgres import identifiers
from refresher.postgres.failures import describe, failure_reason
from refresher.postgres.sessions import Connection, hide_store, set_local

PASSING = frozenset(
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
"""Failures that say nothing about what is asked in the middle of a refresh."""

_STAND_IN = sql.SQL("CREATE TEMPORARY VIEW {name} AS SELECT * FROM {relation}")


class StandIn(NamedTuple):
    """A relation to be read wherever a name without schema means another one."""

    name: str
    relation: RelationName


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks within an open transaction, each time in a read-only subtransaction, rolled back."""

    connection: Connection
    passing: frozenset[FailureReason] = PASSING
    """Failures that are raised as they are."""
    stand_in: StandIn | None = None

    def ask(self, question: sql.Composed) -> list[tuple[Any, ...]]:
        """The rows that answer a question.

        The extended protocol takes one statement only, so that no second one can be smuggled in.

        Raises:
            RefreshError: (check) it can't be answered.
            psycopg.Error: something fails that is in `passing`.
        """
        try:
            with self.connection.transaction(force_rollback=True):
                hide_store(self.connection)
                self._put_stand_in()
                self.connection.execute(set_local("transaction_read_only", "on"))
                cursor = self.connection.cursor(row_factory=tuple_row)
                return cursor.execute(question, binary=True).fetchall()
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise _unanswerable(error) from error
        except psycopg.Error as error:
            if failure_reason(error) in self.passing:
                raise
            raise _unanswerable(error) from error

    def _put_stand_in(self) -> None:
        """Names without schema are looked up among temporary relations first."""
        if self.stand_in is not None:
            self.connection.execute(
                _STAND_IN.format(
                    name=sql.Identifier("pg_temp", self.stand_in.name),
                    relation=identifiers.relation(self.stand_in.relation),
                )
            )


def _unanswerable(error: psycopg.Error) -> RefreshError:
    message = f"it can't be judged: {describe(error)}"
    return RefreshError(message, reason=FailureReason.CHECK)
