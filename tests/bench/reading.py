"""Somebody who reads at a steady pace, and for how long each read kept them waiting."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from refresher.postgres.sessions import Connection
from tests.bench.ground import Ground
from tests.bench.waits import Waits

_READS_A_SECOND = 100


@contextmanager
def reading(ground: Ground, relation: str, keys: int) -> Iterator[Waits]:
    """Read one row after the other of a relation, by its key, until the block ends."""
    query = sql.SQL("SELECT * FROM {} WHERE customer_id = %s").format(sql.Identifier(relation))
    reads = Waits()
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
