"""Seeing a task through: wait for a place, join whoever is at it already, try again if it may help.

The daemon does not need this, for it looks again by itself; a person at the shell does, and an
apply that must fill a view before it can index it.
"""

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from refresher.errors import FailureReason, RefreshError
from refresher.events import Listener
from refresher.postgres.queries import load_queries
from refresher.refresh.attempt import Attempt
from refresher.refresh.retry import RetryAt, next_attempt
from refresher.refresh.session import Session
from refresher.refresh.task import Ended, NotBegun, Obstacle, Task, Unrecorded
from refresher.runs import Outcome, Run

_QUERIES = load_queries("refresher.refresh", "discharge.sql")

_LOOK_AGAIN = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class Discharged:
    """How a task ended; `joined` if somebody else's run did it."""

    run: Run
    joined: bool


class Discharge:
    """One task, seen through. `run` blocks; `cancel` may be called from another thread."""

    def __init__(self, session: Session, task: Task, emit: Listener) -> None:
        self._session = session
        self._task = task
        self._emit = emit
        self._cancelled = threading.Event()
        self._attempt: Attempt | None = None
        self._activity: str | None = "starting"
        """What it is doing; None while the attempt tells."""

    @property
    def activity(self) -> str:
        """What it is doing, in words, for whoever shows it."""
        attempt = self._attempt
        return self._activity or ("refreshing" if attempt is None else attempt.activity)

    def cancel(self) -> None:
        """Give up, on the server too; to be repeated until `run` returns."""
        self._cancelled.set()
        if self._attempt is not None:
            self._attempt.cancel()

    def run(self) -> Discharged | None:
        """Do it; None if it was cancelled before anything began.

        Raises:
            UnreachableError: the database can't be reached.
            psycopg.Error: it failed before anything was recorded.
            RefreshError: it went away before the end could be recorded.
        """
        task = self._task
        failures: list[Run] = []
        while not self._cancelled.is_set():
            self._activity = None
            self._attempt = Attempt(self._session, task, self._emit)
            match self._attempt.run():
                case Ended(run):
                    retry_at = self._retry_at(run, failures)
                    if retry_at is None:
                        return Discharged(run, joined=False)
                    self._activity = f"failed ({run.failure}), trying again"
                    self._wait_until(retry_at)
                    task = _again(task, run, retry_at)
                case NotBegun(Obstacle.DISCHARGED | Obstacle.FENCE):
                    self._activity = "joining the refresh in flight"
                    joined = self._join()
                    if joined is not None:
                        return Discharged(joined, joined=True)
                case NotBegun(Obstacle.SLOT):
                    self._activity = "waiting for a free slot (max_parallel)"
                    self._cancelled.wait(_LOOK_AGAIN.total_seconds())
                case NotBegun(Obstacle.EARLY):
                    self._cancelled.wait(_LOOK_AGAIN.total_seconds())
                case Unrecorded(error=error):
                    message = f"the database went away during the refresh: {error}"
                    raise RefreshError(message, reason=FailureReason.CONNECTION)
        return None

    def _retry_at(self, run: Run, failures: list[Run]) -> datetime | None:
        if run.outcome is not Outcome.FAILED:
            return None
        failures.append(run)
        decision = next_attempt(self._task.view.retry, run.view, self._task.due_at, failures)
        return decision.at if isinstance(decision, RetryAt) else None

    def _join(self) -> Run | None:
        """Wait until nobody refreshes the view; the success that came of it, if one did."""
        connection = self._session.connection()
        view = {"view": self._task.view.name}
        while not self._cancelled.wait(_LOOK_AGAIN.total_seconds()):
            row = connection.execute(_QUERIES["running"], view).fetchone()
            if row is None or not row["running"]:
                break
        since = {**view, "since": self._task.due_at}
        row = connection.execute(_QUERIES["joined"], since).fetchone()
        return Run.from_row(row) if row else None

    def _wait_until(self, instant: datetime) -> None:
        row = self._session.connection().execute(_QUERIES["clock"]).fetchone()
        if row is not None:
            self._cancelled.wait(max(0.0, (instant - row["now"]).total_seconds()))


def _again(task: Task, run: Run, retry_at: datetime) -> Task:
    changes: dict[str, Any] = {"attempt": run.attempt + 1, "ready_at": retry_at}
    others = tuple(replace(other, **changes) for other in task.others)
    return replace(task, **changes, others=others)
