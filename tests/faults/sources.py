"""The tables' writers: an application that updates, and an ETL that empties and reloads.

They stamp what they write with the database's clock, go on wherever they were when their server
comes back, and keep account of what they committed.
"""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from refresher.errors import UnreachableError
from refresher.postgres.sessions import Connection, connect
from tests.faults.history import Commit
from tests.faults.scenario import ROWS
from tests.servers import endpoint_of

_UPDATE_EVERY = 0.1
_RELOAD_PAUSE = 0.05
_LONG_RELOAD = 0.1
"""The share of reloads that keep their table locked for up to a second."""
_RECONNECT_SECONDS = 0.1

_UNKNOWN = datetime.max.replace(tzinfo=UTC)
"""When a commit that nobody has answered was known."""

Write = Callable[[Connection, int, datetime, threading.Event], None]
"""Writes one generation with its stamp, and commits it."""


class Writer:
    """Commits one generation of source rows after another, and knows when each was committed."""

    def __init__(
        self, conninfo: str, table: str, write: Write, *, pause: Callable[[], float]
    ) -> None:
        self.table = table
        self.commits: list[Commit] = []
        self.failure: BaseException | None = None
        self._conninfo = conninfo
        self._newest = sql.SQL("SELECT max(generation) AS generation FROM {}").format(
            sql.Identifier(table)
        )
        self._write = write
        self._pause = pause
        self._stopping = threading.Event()
        self._may_write = threading.Lock()
        self._attempted: Commit | None = None
        """A commit that nobody has answered yet."""
        self._thread = threading.Thread(target=self._run, name=f"writer of {table}")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write until the block ends."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Write nothing until the block ends; what was begun is committed before it begins."""
        with self._may_write:
            yield

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                with (
                    contextlib.suppress(UnreachableError, psycopg.OperationalError),
                    connect(endpoint_of(self._conninfo)) as connection,
                ):
                    self._go_on(connection)
                    while not self._stopping.is_set():
                        with self._may_write:
                            self._commit_one(connection)
                        self._stopping.wait(self._pause())
                self._stopping.wait(_RECONNECT_SECONDS)
        except (psycopg.Error, AssertionError) as failure:
            self.failure = failure

    def _go_on(self, connection: Connection) -> None:
        """Find out what became of the commits that this server knows of."""
        row = connection.execute(self._newest).fetchone()
        assert row is not None
        if self._attempted is not None:
            self.commits.append(self._attempted)
            self._attempted = None
        # A failover may have lost some, and a commit that was not answered may have come to
        # nothing. One that did happen is known from now on, at the latest.
        self.commits[:] = [each for each in self.commits if each.generation <= row["generation"]]
        if self.commits and self.commits[-1].known_at == _UNKNOWN:
            newest = self.commits[-1]
            self.commits[-1] = Commit(newest.generation, newest.stamped_at, _clock(connection))

    def _commit_one(self, connection: Connection) -> None:
        generation = self.commits[-1].generation + 1 if self.commits else 1
        stamp = _clock(connection)
        self._attempted = Commit(generation, stamp, _UNKNOWN)
        self._write(connection, generation, stamp, self._stopping)
        self.commits.append(Commit(generation, stamp, _clock(connection)))
        self._attempted = None


def updater(conninfo: str) -> Writer:
    """An application: updates every order, ten times a second."""

    def write(
        connection: Connection, generation: int, stamp: datetime, stopping: threading.Event
    ) -> None:
        del stopping  # it is done at once
        connection.execute(
            "UPDATE orders SET generation = %s, stamped_at = %s", [generation, stamp]
        )

    return Writer(conninfo, "orders", write, pause=lambda: _UPDATE_EVERY)


def reloader(conninfo: str, chance: random.Random) -> Writer:
    """An ETL: empties its table and fills it again in one transaction, all the time."""

    def write(
        connection: Connection, generation: int, stamp: datetime, stopping: threading.Event
    ) -> None:
        with connection.transaction():
            connection.execute("TRUNCATE reloads")
            if chance.random() < _LONG_RELOAD:
                stopping.wait(chance.random())
            connection.execute(
                "INSERT INTO reloads SELECT id, %s, %s FROM generate_series(1, %s) AS id",
                [generation, stamp, ROWS],
            )

    return Writer(conninfo, "reloads", write, pause=lambda: chance.random() * _RELOAD_PAUSE)


def _clock(connection: Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now
