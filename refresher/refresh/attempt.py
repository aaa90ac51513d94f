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

from refresher.catalog.introspection import (
    READ_TARGET,
    RELATION_KINDS,
    names_of,
    target_of,
)
from refresher.catalog.model import Target
from refresher.checks.contents import as_recorded
from refresher.config.model import Kind
from refresher.errors import FailureReason, RefresherError, RefreshError, UnreachableError
from refresher.events import Listener, RunFinished
from refresher.postgres.failures import breaks_connection, describe, failure_reason
from refresher.postgres.messages import ask_together
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import (
    Connection,
)
from refresher.refresh.choose import Choice, ChooseFacts, Impossible, choose
from refresher.refresh.recording import end_run, read_verdict, uncancelled
from refresher.refresh.session import Session
from refresher.refresh.task import Ended, NotBegun, Obstacle, Result, Task, Unrecorded
from refresher.refresh.transaction import (
    CancelledError,
    CommitUnansweredError,
    NotBegunError,
    Transaction,
)
from refresher.runs import Outcome, Run

_QUERIES = load_queries("refresher.refresh", "attempt.sql")
_OPEN = (READ_TARGET, _QUERIES["open_run"])

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
    run_id: int | None = field(default=None, init=False)
    """The run that is open, once there is one."""
    _cancelled: threading.Event = field(default_factory=threading.Event, init=False)

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
            target, opened = self._open(connection)
        except psycopg.Error as error:
            self._leave(error)
            raise
        if opened["obstacle"] is not None:
            return NotBegun(Obstacle(opened["obstacle"]))
        self.run_id = opened["id"]
        return self._refresh(self._opened_run(opened), target, opened)

    def _open(self, connection: Connection) -> tuple[Target | None, dict[str, Any]]:
        """Step 1."""
        task = self.task
        found, (opened,) = ask_together(
            connection,
            _OPEN,
            {
                "view": task.view.name,
                **names_of(task.view.relation),
                "upstreams": list(task.upstreams),
                "trigger": task.trigger,
                "due_at": task.due_at,
                "ready_at": task.ready_at,
                "attempt": task.attempt,
                "worker": self.session.worker,
                "max_parallel": task.max_parallel,
            },
        )
        return target_of(task.view.relation, found), opened

    def _opened_run(self, opened: dict[str, Any]) -> Run:
        return Run(
            id=opened["id"],
            view=self.task.view.name,
            due_at=self.task.due_at,
            trigger=self.task.trigger,
            attempt=self.task.attempt,
            started_at=opened["started_at"],
            queue_wait_seconds=opened["queue_wait_seconds"],
            worker=self.session.worker,
        )

    def _refresh(self, run: Run, target: Target | None, numbers: dict[str, Any]) -> Result:
        transaction: Transaction | None = None
        try:
            present = _require(target, self.task)
            transaction = Transaction(
                session=self.session,
                task=self.task,
                run=run,
                target=present,
                choice=_choose(self.task, present, numbers),
                cancelled=self._cancelled,
                emit=self.emit,
            )
            return self._ended(self._carry_out(transaction))
        except NotBegunError as end:
            return self._forget(run, end.obstacle)
        except CommitUnansweredError as error:
            self.session.discard()
            return self._record(run, transaction, error)
        except (psycopg.Error, RefresherError, CancelledError) as error:
            self._leave(error)
            return self._record(run, transaction, error)

    def _carry_out(self, transaction: Transaction) -> Run:
        try:
            return transaction.carry_out()
        except psycopg.errors.UniqueViolation:
            # Somebody else's REFRESH CONCURRENTLY that crosses ours looks like a duplicate key;
            # a real duplicate fails again.
            self.session.connection().execute("ROLLBACK")
            return transaction.carry_out()

    def _forget(self, run: Run, obstacle: Obstacle) -> Result:
        connection = self.session.connection()
        try:
            connection.execute("ROLLBACK")
            uncancelled(lambda: connection.execute(_QUERIES["forget_run"], {"run": run.id}))
        except psycopg.Error as error:
            self._leave(error)
            return Unrecorded(run.id, describe(error))
        return NotBegun(obstacle)

    def _record(self, run: Run, transaction: Transaction | None, error: Exception) -> Result:
        """Record the end of a run that did not commit, or read the record of one that did."""
        unanswered = isinstance(error, CommitUnansweredError)
        deadline = time.monotonic() + _RECORDING_SECONDS
        while True:
            try:
                connection = self.session.connection()
                if unanswered:
                    patience = timedelta(seconds=max(0.0, deadline - time.monotonic()))
                    committed = read_verdict(connection, run, patience)
                    if committed is not None:
                        return self._ended(committed)
                failure = self._failure(error, transaction) | as_recorded(error)
                end = partial(end_run, connection, run, transaction, failure)
                return self._ended(uncancelled(end))
            except (UnreachableError, psycopg.Error) as trouble:
                self.session.discard()
                if time.monotonic() > deadline or self._cancelled.is_set():
                    return Unrecorded(run.id, describe(trouble))
                self._cancelled.wait(_RECORDING_PAUSE_SECONDS)

    def _failure(self, error: Exception, transaction: Transaction | None) -> dict[str, Any]:
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
            case psycopg.errors.QueryCanceled() if transaction and not transaction.timed_out():
                reason = FailureReason.OTHER  # somebody meant it: only the next instant tries again
            case _:
                reason = failure_reason(error)
        cause = error.__cause__ if isinstance(error, CommitUnansweredError) else None
        text = describe(cause or error)
        return {"outcome": Outcome.FAILED, "failure": reason, "error": text}

    def _ended(self, run: Run) -> Ended:
        self.emit(RunFinished(database=self.session.endpoint.alias, run=run))
        return Ended(run)

    def _leave(self, error: Exception) -> None:
        """Leave the failed transaction, on a connection that may be used again or on none."""
        if isinstance(error, psycopg.Error) and breaks_connection(error):
            self.session.discard()
            return
        try:
            self.session.connection().execute("ROLLBACK")
        except (psycopg.Error, UnreachableError):
            self.session.discard()


def _require(target: Target | None, task: Task) -> Target:
    relation = task.view.relation
    if target is None:
        message = f"{relation} does not exist; run `refresher apply`"
        raise RefreshError(message, reason=FailureReason.DEFINITION)
    if target.relation_kind != RELATION_KINDS[task.view.kind]:
        kind = task.view.kind.value.replace("_", " ")
        message = f"{relation} is not a {kind}; rename it, or the view in the config"
        raise RefreshError(message, reason=FailureReason.DEFINITION)
    if task.view.kind is Kind.TABLE and target.query is None:
        message = f"{relation} was not made by refresher; rename it, or the view in the config"
        raise RefreshError(message, reason=FailureReason.DEFINITION)
    return target


def _choose(task: Task, target: Target, numbers: dict[str, Any]) -> Choice:
    facts = ChooseFacts(
        strategy=task.strategy,
        allow_blocking=task.view.allow_blocking,
        populated=target.populated,
        unique_index=target.unique_index,
        relation=target.relation,
        key=task.view.key,
        rows=numbers["rows"],
        full_seconds=numbers["full_seconds"],
        concurrent_seconds=numbers["concurrent_seconds"],
        concurrent_churn=numbers["concurrent_churn"],
        is_table=task.view.kind is Kind.TABLE,
        merge_seconds=numbers["merge_seconds"],
        merge_churn=numbers["merge_churn"],
    )
    match choose(facts):
        case Choice() as choice:
            return choice
        case Impossible(reason=reason, message=message):
            raise RefreshError(message, reason=reason)
