"""A quiet writer of the table: it is not read by the contents' oracle until it has stopped."""

import contextlib
import threading
import time
from collections.abc import Iterator

import psycopg

from refresher.postgres.sessions import connect
from tests.servers import endpoint_of
from tests.torture.history import Phase, Read

_EVERY = 0.03
_STATEMENT = "UPDATE orders SET amount = amount + 1 WHERE id % 300 = {number}"
_ROWS = 300


class Writer:
    """Updates ten orders, again and again, in the steps it is asked to."""

    def __init__(self, conninfo: str) -> None:
        self.writes: list[Read] = []
        self._conninfo = conninfo

    @contextlib.contextmanager
    def writing(self, step: int) -> Iterator[None]:
        """Write until the block ends."""
        stopping = threading.Event()
        thread = threading.Thread(target=self._run, args=(step, stopping), name="writer")
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def _run(self, step: int, stopping: threading.Event) -> None:
        with connect(endpoint_of(self._conninfo), application="writer") as connection:
            number = 0
            while not stopping.wait(_EVERY):
                number = (number + 1) % _ROWS
                statement = _STATEMENT.format(number=number)
                rows, error, began = 0, None, time.monotonic()
                try:
                    rows = connection.execute(statement).rowcount
                except psycopg.Error as failure:
                    error = str(failure)
                self.writes.append(
                    Read(
                        step=step,
                        phase=Phase.APPLY,
                        relations=("orders",),
                        statement=statement,
                        seconds=time.monotonic() - began,
                        rows=rows,
                        error=error,
                    )
                )
