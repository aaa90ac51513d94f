"""One attempt at a refresh, whose effect and record can't part.

    1  probe without locks; record the attempt                                own transaction
    2  BEGIN; SET LOCAL; LOCK the sources         nothing yet may take a snapshot
    3  take a slot, take the fence                the snapshot is taken here
    4  still due? own record still open?          or roll back: somebody else did it
    5  as_of, watermark, upstreams' data_as_of    all of this snapshot
    6  the strategy, then the checks              a broken check keeps the old contents
    7  state, record, NOTIFY; COMMIT
    —  a failure is recorded in a transaction of its own

Why it holds: docs/adr/0001-one-transaction-and-a-fence-row.md. How it fails:

    killed at 1        an open record, closed as `lost` by whoever looks next
    killed at 2 to 7   PostgreSQL rolls back: fence and slot are free, the old contents stand
    COMMIT unanswered  the record is reread under the fence, which waits for the verdict; one that
                       does not come soon is left open, for whoever can take the fence later
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg

from refresher.checks.contents import as_recorded
from refresher.config.model import Kind
from refresher.errors import FailureReason, RefresherError, RefreshError, UnreachableError
from refresher.events import Listener, RunFinished
from refresher.postgres.failures import breaks_connection, describe, failure_reason
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.refresh.columns.filling import Filling
from refresher.refresh.opening import Opened, member_of, open_runs
from refresher.refresh.recording import end_run, read_verdict, uncancelled
from refresher.refresh.session import Session
from refresher.refresh.task import (
    Ended,
    NotBegun,
    NotBegunError,
    Obstacle,
    Result,
    Task,
    Unrecorded,
)
from refresher.refresh.transaction import CancelledError, CommitUnansweredError, Transaction
from refresher.runs import Outcome, Run

_QUERIES = load_queries("refresher.refresh", "attempt.sql")

_RECORDING_SECONDS = 15.0
_RECORDING_PAUSE_SECONDS = 0.25
"""How long, and how often, a database that went away is asked to take the record of the end.

A COMMIT that waits for a synchronous standby keeps its fence for as long as that one is away."""


@dataclass(slots=True)
class Attempt:
    """One attempt at a task. `run` does it in this thread; `cancel` may be called from another."""

    session: Session
    task: Task
    emit: Listener
    run_ids: tuple[int, ...] = field(default=(), init=False)
    """The runs that are open, once there are some."""
    _transaction: Transaction | None = field(default=None, init=False)
    _cancelled: threading.Event = field(default_factory=threading.Event, init=False)

    @property
    def activity(self) -> str:
        """What it is doing, in words, for whoever shows it."""
        return "refreshing" if self._transaction is None else self._transaction.activity

    def cancel(self) -> None:
        """Ask the server to give up; repeat until `run` returns, for it may be in between."""
        self._cancelled.set()
        self.session.cancel()

    def run(self) -> Result:
        """Do it, and record how it went.

        Raises:
            UnreachableError: the database could not be reached before anything was recorded.
            psycopg.Error: it failed before anything was recorded.
        """
        connection = self.session.begin_attempt()
        try:
            opened = open_runs(connection, self.task, self.session.worker)
        except NotBegunError as end:
            return NotBegun(end.obstacle)
        except psycopg.Error as error:
            self._leave(error)
            raise
        self.run_ids = tuple(each.run.id for each in opened)
        return self._refresh(opened)

    def _refresh(self, opened: list[Opened]) -> Result:
        runs = [each.run for each in opened]
        made_of = Filling if self.task.view.kind is Kind.COLUMNS else Transaction
        transaction = made_of(session=self.session, cancelled=self._cancelled, emit=self.emit)
        self._transaction = transaction
        try:
            for each in opened:
                transaction.at = each.task.view.name
                transaction.members += (member_of(each),)
            return self._ended(self._carry_out(transaction))
        except NotBegunError as end:
            return self._forget(runs, end.obstacle)
        except CommitUnansweredError as error:
            self.session.discard()
            return self._record(runs, transaction, error)
        except (psycopg.Error, RefresherError, CancelledError) as error:
            self._leave(error)
            return self._record(runs, transaction, error)

    def _carry_out(self, transaction: Transaction) -> list[Run]:
        try:
            return transaction.carry_out()
        except psycopg.errors.UniqueViolation:
            if isinstance(transaction, Filling):
                raise
            # Somebody else's REFRESH CONCURRENTLY that crosses ours looks like a duplicate key;
            # a real duplicate fails again.
            self.session.connection().execute("ROLLBACK")
            return transaction.carry_out()

    def _forget(self, runs: list[Run], obstacle: Obstacle) -> Result:
        connection = self.session.connection()
        forget = {"runs": [run.id for run in runs]}
        try:
            connection.execute("ROLLBACK")
            uncancelled(lambda: connection.execute(_QUERIES["forget_runs"], forget))
        except psycopg.Error as error:
            self._leave(error)
            return Unrecorded(runs[0].id, describe(error))
        return NotBegun(obstacle)

    def _record(self, runs: list[Run], transaction: Transaction, error: Exception) -> Result:
        """Record the end of runs that did not commit, or read the records of those that did."""
        deadline = time.monotonic() + _RECORDING_SECONDS
        while True:
            patience = timedelta(seconds=max(0.0, deadline - time.monotonic()))
            try:
                connection = self.session.connection()
                return self._ended(
                    [self._end(connection, run, transaction, error, patience) for run in runs]
                )
            except (UnreachableError, psycopg.Error) as trouble:
                self.session.discard()
                if time.monotonic() > deadline or self._cancelled.is_set():
                    return Unrecorded(runs[0].id, describe(trouble))
                self._cancelled.wait(_RECORDING_PAUSE_SECONDS)

    def _end(
        self,
        connection: Connection,
        run: Run,
        transaction: Transaction,
        error: Exception,
        patience: timedelta,
    ) -> Run:
        if isinstance(error, CommitUnansweredError):
            committed = read_verdict(connection, run, patience)
            if committed is not None:
                return committed
        failure = self._failure(error, transaction)
        if transaction.at in (None, run.view):
            failure |= as_recorded(error)
        else:
            failure |= as_recorded(None)
            failure["error"] = f"its group was rolled back: {transaction.at}: {failure['error']}"
        member = next((each for each in transaction.members if each.run.id == run.id), None)
        return uncancelled(
            partial(
                end_run,
                connection,
                run,
                failure,
                choice=member.choice if member else None,
                lock_wait=transaction.lock_wait if member else None,
            )
        )

    def _failure(self, error: Exception, transaction: Transaction) -> dict[str, Any]:
        cancelled = isinstance(error, CancelledError) or (
            isinstance(error, psycopg.errors.QueryCanceled) and self._cancelled.is_set()
        )
        if cancelled:
            return {"outcome": Outcome.CANCELLED, "failure": None, "error": None}
        match error:
            case RefreshError(reason=reason):
                pass
            case CommitUnansweredError():
                reason = FailureReason.CONNECTION
            case psycopg.errors.QueryCanceled() if (
                transaction.began and not transaction.timed_out()
            ):
                reason = FailureReason.OTHER  # somebody meant it: only the next instant tries again
            case _:
                reason = failure_reason(error)
        cause = error.__cause__ if isinstance(error, CommitUnansweredError) else None
        text = describe(cause or error)
        return {"outcome": Outcome.FAILED, "failure": reason, "error": text}

    def _ended(self, runs: list[Run]) -> Ended:
        for run in runs:
            self.emit(RunFinished(database=self.session.endpoint.alias, run=run))
        (own,) = (run for run in runs if run.view == self.task.view.name)
        return Ended(own, tuple(run for run in runs if run is not own))

    def _leave(self, error: Exception) -> None:
        """Leave the failed transaction, on a connection that may be used again or on none."""
        if isinstance(error, psycopg.Error) and breaks_connection(error):
            self.session.discard()
            return
        try:
            self.session.connection().execute("ROLLBACK")
        except (psycopg.Error, UnreachableError):
            self.session.discard()
