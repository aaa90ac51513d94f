"""The tables' writers: an application that updates, and an ETL that empties and reloads."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator

import psycopg

from refresher.postgres.sessions import Connection, connect
from tests.chaos.history import Commit
from tests.chaos.scenario import ROWS
from tests.servers import endpoint_of

_UPDATE_EVERY = 0.1
_RELOAD_PAUSE = 0.05
_LONG_RELOAD = 0.1
"""The share of reloads that keep their table locked for up to a second."""


class Writer:
    """Commits one generation of source rows after another, and knows when each was committed."""

    def __init__(
        self, conninfo: str, write: Callable[[Connection, int, threading.Event], None]
    ) -> None:
        self.commits: list[Commit] = []
        self.failure: BaseException | None = None
        self._conninfo = conninfo
        self._write = write
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="source writer")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write until the block ends."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join()

    def _run(self) -> None:
        try:
            with connect(endpoint_of(self._conninfo)) as connection:
                generation = 0
                while not self._stopping.is_set():
                    generation += 1
                    self._write(connection, generation, self._stopping)
                    row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
                    assert row is not None
                    self.commits.append(Commit(generation, row["now"]))
        except (psycopg.Error, AssertionError) as failure:
            self.failure = failure


def updater(conninfo: str) -> Writer:
    """An application: updates every order, ten times a second."""

    def write(connection: Connection, generation: int, stopping: threading.Event) -> None:
        connection.execute("UPDATE orders SET generation = %s", [generation])
        stopping.wait(_UPDATE_EVERY)

    return Writer(conninfo, write)


def reloader(conninfo: str, chance: random.Random) -> Writer:
    """An ETL: empties its table and fills it again in one transaction, all the time."""

    def write(connection: Connection, generation: int, stopping: threading.Event) -> None:
        with connection.transaction():
            connection.execute("TRUNCATE reloads")
            if chance.random() < _LONG_RELOAD:
                stopping.wait(chance.random())
            connection.execute(
                "INSERT INTO reloads SELECT id, %s FROM generate_series(1, %s) AS id",
                [generation, ROWS],
            )
        stopping.wait(chance.random() * _RELOAD_PAUSE)

    return Writer(conninfo, write)
