"""Holding the right to refresh views, and to apply definitions, for as long as it takes."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from refresher.definitions.patience import pause, persist
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, connect, major, set_local
from refresher.refresh.session import Session

_QUERIES = load_queries("refresher.definitions", "fences.sql")

_FENCE_WAIT = "1s"


@contextmanager
def fenced(
    session: Session, views: Sequence[str], waiting: Callable[[], None]
) -> Iterator[Connection]:
    """A transaction that holds the fences of views; it commits if nothing is raised.

    Args:
        session: which database, and who works there.
        views: those whose contents are exchanged.
        waiting: called while somebody else refreshes one of them; what it raises ends the waiting.
    """
    with holding(session) as connection:
        take_fences(connection, session, views, waiting)
        yield connection


def take_fences(
    connection: Connection, session: Session, views: Sequence[str], waiting: Callable[[], None]
) -> None:
    """Take fences, until the transaction ends; the arguments are those of `fenced`."""
    if not views:
        return
    parameters = {"views": list(views), "worker": session.worker}

    def take() -> None:
        with connection.transaction():
            connection.execute(set_local("lock_timeout", _FENCE_WAIT))
            connection.execute(_QUERIES["take_fences"], parameters)

    persist(take, waiting=waiting)
    connection.execute(_QUERIES["note_fences"], parameters)


@contextmanager
def holding(session: Session) -> Iterator[Connection]:
    """A transaction that may hold locks for long: while it is idle, no other one minds it.

    It has no snapshot then, which CREATE INDEX CONCURRENTLY would wait for.
    """
    application = f"refresher {session.worker}"
    with connect(session.endpoint, application=application) as connection, connection.transaction():
        connection.execute(_QUERIES.on("hold", major(connection)))
        yield connection


@contextmanager
def alone(session: Session, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the right to apply in a database; it ends with this process."""
    with holding(session) as connection:
        for number in itertools.count():
            row = connection.execute(_QUERIES["lock_applying"]).fetchone()
            if row and row["locked"]:
                break
            waiting()
            pause(number)
        yield
