"""The threads that refresh: at most `max_parallel` a database, each with its own connection."""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from refresher.errors import RefresherError
from refresher.events import Listener
from refresher.postgres.sessions import Endpoint
from refresher.refresh.attempt import Attempt
from refresher.refresh.session import Session
from refresher.refresh.task import NotBegun, Obstacle, Result, Task

_LOGGER = logging.getLogger(__name__)

Report = Callable[[Task, Result | BaseException], None]


@dataclass(frozen=True, slots=True)
class _Stop:
    """Ends one worker."""


class Workers:
    """A pool for one database. A worker survives whatever an attempt raises."""

    def __init__(
        self, endpoint: Endpoint, *, worker: str, size: int, emit: Listener, report: Report
    ) -> None:
        self._endpoint = endpoint
        self._worker = worker
        self._emit = emit
        self._report = report
        self._tasks: queue.SimpleQueue[Task | _Stop] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._attempts: dict[str, Attempt] = {}
        self._refusing = False
        self._threads = [
            # A daemon thread: one that hangs must not keep the process from leaving.
            threading.Thread(
                target=self._work, name=f"{endpoint.alias} worker {number}", daemon=True
            )
            for number in range(size)
        ]

    def start(self) -> None:
        """Begin to take tasks."""
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Have a task done by the next free worker; the end is reported."""
        self._tasks.put(task)

    @property
    def alive(self) -> bool:
        """Whether every thread still takes tasks."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def busy(self) -> int:
        """How many are at work."""
        return len(self._attempts)

    def in_flight(self) -> list[int]:
        """The runs that are at work here."""
        with self._lock:
            attempts = list(self._attempts.values())
        return [run for attempt in attempts for run in attempt.run_ids]

    def refuse(self) -> None:
        """Begin nothing more, not even what was submitted."""
        with self._lock:
            self._refusing = True

    def cancel(self) -> int:
        """Cancel what is at work, on the server; to be repeated while `busy`. Returns how many."""
        with self._lock:
            self._refusing = True
            attempts = list(self._attempts.values())
        for attempt in attempts:
            attempt.cancel()
        return len(attempts)

    def stop(self) -> None:
        """Take no more tasks, and end the threads; what is at work is waited for."""
        for _ in self._threads:
            self._tasks.put(_Stop())
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _work(self) -> None:
        session = Session(self._endpoint, worker=self._worker)
        try:
            while True:
                task = self._tasks.get()
                if isinstance(task, _Stop):
                    return
                result = self._attempt(session, task)
                try:
                    self._report(task, result)
                except Exception as bug:
                    _LOGGER.warning("a refresh's end was not taken note of", exc_info=bug)
        finally:
            session.discard()

    def _attempt(self, session: Session, task: Task) -> Result | BaseException:
        attempt = Attempt(session, task, self._emit)
        with self._lock:
            if self._refusing:
                return NotBegun(Obstacle.SLOT)
            self._attempts[task.view.name] = attempt
        try:
            return attempt.run()
        except (RefresherError, psycopg.Error) as error:
            return error
        except Exception as error:  # noqa: BLE001 - a bug must not end the worker; it is reported
            session.discard()
            return error
        finally:
            with self._lock:
                del self._attempts[task.view.name]
