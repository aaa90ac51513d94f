"""Definitions tried as temporary views, to learn what they read. All is rolled back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg import sql

from refresher.config.model import View
from refresher.definitions.statements import execute_one
from refresher.doctor.model import Forbidden
from refresher.postgres.failures import describe
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, hide_store, local_settings

_QUERIES = load_queries("refresher.doctor", "trial.sql")

_STATEMENT_TIMEOUT = timedelta(seconds=15)
_LOCK_TIMEOUT = timedelta(seconds=1)


@contextmanager
def bounded(connection: Connection) -> Iterator[None]:
    """A transaction that neither waits nor works for long, and leaves nothing."""
    with connection.transaction(force_rollback=True):
        connection.execute(
            local_settings(
                {}, statement=_STATEMENT_TIMEOUT, lock=_LOCK_TIMEOUT, checks_client=False
            )
        )
        yield


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying some definitions, by view."""

    oids: Mapping[str, int]
    """Of the temporary views; one that PostgreSQL did not accept has none."""
    forbidden: tuple[Forbidden, ...]
    """Those that this role may not create."""


@contextmanager
def tried(connection: Connection, views: Mapping[str, View]) -> Iterator[Trial]:
    """Have temporary views with the queries of these until the block ends.

    They have the names of the relations, so that those which are written without a schema find
    each other.

    Raises:
        psycopg.Error: the database went away, or is a read-only replica.
    """
    with bounded(connection):
        connection.execute(_QUERIES["begin_trying"])
        hide_store(connection)
        refused: dict[str, psycopg.Error] = {}
        waiting = list(views)
        while waiting:
            refused = {
                name: error
                for name in waiting
                if (error := _try_one(connection, views[name])) is not None
            }
            if len(refused) == len(waiting):
                break
            waiting = list(refused)
        found = {row["name"]: row["oid"] for row in connection.execute(_QUERIES["tried"])}
        yield Trial(
            oids={
                name: found[view.relation.name]
                for name, view in views.items()
                if name not in refused
            },
            forbidden=tuple(
                _explained(connection, name, describe(error))
                for name, error in refused.items()
                if isinstance(error, psycopg.errors.InsufficientPrivilege)
            ),
        )


def _explained(connection: Connection, view: str, problem: str) -> Forbidden:
    row = connection.execute(_QUERIES["closed_schema"], {"message": problem}).fetchone()
    return Forbidden(view=view, problem=problem, schema=row["name"] if row else None)


def _try_one(connection: Connection, view: View) -> psycopg.Error | None:
    statement = sql.SQL("CREATE TEMPORARY VIEW {name} AS\n{query}\n").format(
        name=sql.Identifier(view.relation.name), query=sql.SQL(view.query)
    )
    try:
        with connection.transaction():
            execute_one(connection, statement)
    except psycopg.Error as error:
        if connection.closed:
            raise
        return error
    return None
