"""Saying that this command lives while it refreshes, so that nobody takes its open run for lost."""

import contextlib
import threading
from collections.abc import Iterable, Iterator

import psycopg

from refresher.errors import UnreachableError
from refresher.postgres.sessions import Connection, Endpoint, connect
from refresher.store import presence


@contextlib.contextmanager
def present(endpoint: Endpoint, views: Iterable[str]) -> Iterator[str]:
    """Live for as long as the context does; yields this process's name as a worker.

    Raises:
        UnreachableError: the database can't be reached at the beginning.
        psycopg.Error: it does not take the first sign of life.
    """
    heart = _Heart(endpoint, tuple(views))
    heart.beat()
    thread = threading.Thread(target=heart.run, name=f"{endpoint.alias} heart", daemon=True)
    thread.start()
    try:
        yield heart.worker
    finally:
        heart.stopping.set()
        thread.join()
        heart.leave()


class _Heart:
    """Beats on a connection of its own: the refresh's is busy."""

    def __init__(self, endpoint: Endpoint, views: tuple[str, ...]) -> None:
        self.worker = presence.worker_name()
        self.stopping = threading.Event()
        self._endpoint = endpoint
        self._views = views
        self._connection: Connection | None = None

    def beat(self) -> None:
        if self._connection is None:
            self._connection = connect(self._endpoint, application=f"refresher {self.worker}")
        presence.beat(self._connection, worker=self.worker, kind="command", views=self._views)

    def run(self) -> None:
        while not self.stopping.wait(presence.BEAT_EVERY.total_seconds()):
            try:
                self.beat()
            except (psycopg.Error, UnreachableError):
                self._close()  # the refresh finds out too, and says so

    def leave(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                presence.leave(self._connection, worker=self.worker)
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
