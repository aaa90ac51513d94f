"""An application that updates groups of rows in random order, and keeps account of what it did."""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator

import psycopg
from psycopg import sql

from refresher.errors import UnreachableError
from refresher.postgres.sessions import Connection, connect
from tests.servers import endpoint_of

_ROWS = 5
"""Of a transaction."""
_PAUSE_SECONDS = 0.01


class Application:
    """Counts up a column of its own, in rows whose keys are numbers from 1 on."""

    def __init__(
        self, conninfo: str, *, table: str, key: str, column: str, keys: int, chance: random.Random
    ) -> None:
        self.counted: Counter[int] = Counter()
        """What the column must hold, by key."""
        self.errors: list[str] = []
        self._conninfo = conninfo
        self._keys = keys
        self._chance = chance
        self._update = sql.SQL(
            "UPDATE {table} SET {column} = {column} + 1 WHERE {key} = %s"
        ).format(
            table=sql.Identifier(table), column=sql.Identifier(column), key=sql.Identifier(key)
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name=f"application of {table}")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write until the block ends."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join()

    def _write(self) -> None:
        try:
            with connect(endpoint_of(self._conninfo)) as connection:
                while not self._stopping.wait(_PAUSE_SECONDS):
                    self._write_group(connection)
        except (psycopg.Error, UnreachableError) as error:
            self.errors.append(str(error))

    def _write_group(self, connection: Connection) -> None:
        keys = self._chance.sample(range(1, self._keys + 1), _ROWS)
        with connection.transaction():
            for key in keys:
                connection.execute(self._update, [key])
        self.counted.update(keys)
