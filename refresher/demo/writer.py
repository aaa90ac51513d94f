"""A small shop: places an order now and then, so that there is something to keep up with."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg

from refresher.config.model import Secret
from refresher.postgres.queries import load_queries

_QUERIES = load_queries("refresher.demo", "writer.sql")


class Writer:
    """Places orders in a thread of its own until it is stopped or the database goes away."""

    def __init__(self, owner: Secret, *, customers: int, pause: timedelta) -> None:
        self.orders = 0
        """How many orders are committed so far."""
        self._owner = owner
        self._customers = customers
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo writer")

    @contextmanager
    def running(self) -> Iterator["Writer"]:
        """Write until the block ends."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        try:
            with psycopg.connect(
                self._owner.reveal(), autocommit=True, prepare_threshold=None
            ) as connection:
                while not self._stop.wait(self._pause.total_seconds()):
                    self._place_order(connection)
        except psycopg.OperationalError:
            # The daemon shows that the database is gone, and by whom it is noticed matters little.
            return

    def _place_order(self, connection: psycopg.Connection) -> None:
        number = self.orders + 1
        connection.execute(
            _QUERIES["place_order"], {"number": number, "customers": self._customers}
        )
        self.orders = number
