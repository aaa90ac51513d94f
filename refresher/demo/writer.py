"""A small shop: places an order now and then, so that there is something to keep up with."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import psycopg

from refresher.config.model import Secret
from refresher.demo.interrupts import postponed
from refresher.postgres.queries import load_queries

_QUERIES = load_queries("refresher.demo", "writer.sql")


class Writer:
    """Places orders in a thread of its own; while the database is away it tries again."""

    def __init__(self, owner: Secret, *, customers: int, pause: timedelta) -> None:
        self.orders = 0
        """How many orders are committed so far."""
        self.failed = 0
        """How many orders ended in an error of the database's."""
        self._owner = owner
        self._customers = customers
        self._pause = pause
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write until the block ends; the first order is committed when it begins.

        Raises:
            psycopg.Error: that one could not be placed.
        """
        with postponed(), self._connect() as connection:
            self._place_order(connection)
        thread = threading.Thread(target=self._run, name="demo writer")
        try:
            with postponed():
                thread.start()
            yield
        finally:
            with postponed():
                self._stop.set()
                if thread.is_alive():
                    thread.join()

    def _run(self) -> None:
        # What is wrong with the database the daemon shows; here it only has to come back.
        while not self._stop.wait(self._pause.total_seconds()):
            with suppress(psycopg.Error), self._connect() as connection:
                self._place_order(connection)
                while not self._stop.wait(self._pause.total_seconds()):
                    self._place_order(connection)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._owner.reveal(), autocommit=True, prepare_threshold=None, connect_timeout=5
        )

    def _place_order(self, connection: psycopg.Connection) -> None:
        number = self.orders + 1
        try:
            connection.execute(
                _QUERIES["place_order"], {"number": number, "customers": self._customers}
            )
        except psycopg.Error:
            self.failed += 1
            raise
        self.orders = number
