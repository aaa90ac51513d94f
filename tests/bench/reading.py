"""Somebody who reads at a steady pace, and for how long each read kept them waiting."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import sql

from refresher.postgres.sessions import Connection
from tests.bench.ground import Ground

_READS_A_SECOND = 100


@dataclass(slots=True)
class Reads:
    """How long reads took, counted from when they were due: one that waits delays the others."""

    seconds: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """The 99th percentile; 0 if there was no time for any."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] if ordered else 0.0


@contextmanager
def reading(ground: Ground, relation: str, keys: int) -> Iterator[Reads]:
    """Read one row after the other of a relation, by its key, until the block ends."""
    query = sql.SQL("SELECT * FROM {} WHERE customer_id = %s").format(sql.Identifier(relation))
    reads = Reads()
    done = threading.Event()

    def read(connection: Connection) -> None:
        began = time.perf_counter()
        number = 0
        while not done.is_set():
            due = began + number / _READS_A_SECOND
            if done.wait(max(0.0, due - time.perf_counter())):
                return
            connection.execute(query, [number * 7919 % keys + 1], prepare=True).fetchone()
            reads.seconds.append(time.perf_counter() - due)
            number += 1

    with ground.connect() as connection:
        thread = threading.Thread(target=read, args=(connection,), name="reader")
        thread.start()
        try:
            yield reads
        finally:
            done.set()
            thread.join()
