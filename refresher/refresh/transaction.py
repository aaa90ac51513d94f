"""Steps 2 to 7 of a refresh: the one transaction (`attempt.py` has the whole story)."""

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from refresher.catalog.introspection import storage_files
from refresher.catalog.model import Target
from refresher.checks.contents import check_contents
from refresher.config.model import Timeouts
from refresher.errors import FailureReason, RefreshError
from refresher.events import Listener, RunStarted
from refresher.postgres import identifiers
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, major
from refresher.refresh import concurrent, full
from refresher.refresh.choose import Choice
from refresher.refresh.session import Session
from refresher.refresh.task import Obstacle, Task
from refresher.runs import Run, Strategy, Trigger

_QUERIES = load_queries("refresher.refresh", "attempt.sql")

_BEGIN = sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; {settings}{locks}")
_LOCK = sql.SQL("; LOCK TABLE {sources} IN ACCESS SHARE MODE")

_CHURN = ("inserted", "updated", "deleted")
_MEASURED = ("rows", "bytes", "storage", "rows_written", *_CHURN)


class NotBegunError(Exception):
    """Unwinds a transaction that found nothing to do, or no room to do it."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle)
        self.obstacle = obstacle


class CancelledError(Exception):
    """Unwinds a transaction whose cancellation was asked for between two statements."""


class CommitUnansweredError(Exception):
    """The connection broke while COMMIT was on its way: it may have happened, or not."""


@dataclass(slots=True, kw_only=True)
class Transaction:
    """The refresh itself. `commit()` is the only way out that leaves anything behind."""

    session: Session
    task: Task
    run: Run
    target: Target
    choice: Choice
    cancelled: threading.Event
    emit: Listener
    lock_wait: float = field(default=0.0, init=False)
    began: float = field(default=0.0, init=False)
    """By the monotonic clock; when BEGIN was sent."""

    def carry_out(self) -> Run:
        """Refresh and commit; returns the finished run.

        Raises:
            NotBegunError: somebody else did it, or holds the fence, or every slot is taken.
            CancelledError: it was cancelled before it wrote anything.
            CommitUnansweredError: nobody knows yet whether it happened.
            RefreshError: a check is broken, or a source was rewritten under it.
            psycopg.Error: whatever PostgreSQL says.
        """
        connection = self.session.connection()
        files = storage_files(connection, self.target.unlockable_storages)
        self._begin(connection)
        before = self._take_fence(connection)
        begun = replace(self.run, strategy=self.choice.strategy, reason=self.choice.reason)
        self.emit(RunStarted(database=self.session.endpoint.alias, run=begun))
        self._stop_if_cancelled()
        self._run_strategy(connection)
        if storage_files(connection, self.target.unlockable_storages) != files:
            message = "a source that can't be locked was rewritten while it was read"
            raise RefreshError(message, reason=FailureReason.SERIALIZATION)
        after = self._measure(connection, before)
        self._check(connection, before, after)
        self._stop_if_cancelled()
        finished = self._finish(connection, before, after)
        _commit(connection)
        return finished

    def timed_out(self) -> bool:
        """Whether it has been at work for as long as a statement may take.

        PostgreSQL has one SQLSTATE, 57014, for a timeout and for somebody's pg_cancel_backend, and
        tells them apart in the language of the server's messages only.
        """
        return time.monotonic() - self.began >= self.task.view.timeouts.statement.total_seconds()

    def _begin(self, connection: Connection) -> None:
        """Step 2."""
        begin = begin_statement(self.session, self.task.view.timeouts, self.target)
        self.began = time.monotonic()
        try:
            connection.execute(begin)
        finally:
            self.lock_wait = time.monotonic() - self.began

    def _take_fence(self, connection: Connection) -> dict[str, Any]:
        """Steps 3 to 5. The first SELECT takes the snapshot that everything after it sees."""
        task = self.task
        slot = connection.execute(_QUERIES["take_slot"], {"max_parallel": task.max_parallel})
        if slot.fetchone() is None:
            raise NotBegunError(Obstacle.SLOT)
        try:
            connection.execute(_QUERIES["lock_fence"], {"view": task.view.name})
        except (psycopg.errors.LockNotAvailable, psycopg.errors.SerializationFailure) as error:
            # Somebody holds it, or held it until after our snapshot: nothing has failed.
            raise NotBegunError(Obstacle.FENCE) from error
        facts = connection.execute(
            _QUERIES["take_fence"],
            {
                "view": task.view.name,
                "run": self.run.id,
                "worker": self.session.worker,
                "upstreams": list(task.upstreams),
                "relation": self.target.oid,
                "schema": self.target.relation.schema,
                "name": self.target.relation.name,
            },
        ).fetchone()
        if facts is None:
            message = f"the fence of {task.view.name!r} is missing; run `refresher apply`"
            raise RefreshError(message, reason=FailureReason.OTHER)
        if not facts["stands"]:
            # It was exchanged for another one since it was looked at: look again.
            raise NotBegunError(Obstacle.FENCE)
        if not facts["open"] or _discharged(task, facts):
            raise NotBegunError(Obstacle.DISCHARGED)
        return facts

    def _run_strategy(self, connection: Connection) -> None:
        match self.choice.strategy:
            case Strategy.FULL:
                full.refresh(connection, self.target.relation)
            case Strategy.CONCURRENT:
                concurrent.refresh(connection, self.target.relation)
            case other:
                assert_never(other)

    def _measure(self, connection: Connection, before: dict[str, Any]) -> dict[str, Any]:
        # No parameters: a % in the relation's name would be taken for one.
        query = _QUERIES["measure"].format(
            relation=identifiers.relation(self.target.relation), oid=sql.Literal(self.target.oid)
        )
        after = connection.execute(query).fetchone()
        assert after is not None  # noqa: S101 - the query always returns one row
        after.update({name: after[name] - before[name] for name in _CHURN})
        after["rows_written"] = before["rows_written"] + sum(after[name] for name in _CHURN)
        if self.choice.strategy is Strategy.FULL:
            # A plain refresh writes a new heap: PostgreSQL counts what came, not what went.
            after["deleted"] = before["previous_rows"]
        return after

    def _check(self, connection: Connection, before: dict[str, Any], after: dict[str, Any]) -> None:
        check_contents(
            connection,
            self.task.view,
            self.target.relation,
            rows=after["rows"],
            previous_rows=before["previous_rows"],
        )

    def _finish(self, connection: Connection, before: dict[str, Any], after: dict[str, Any]) -> Run:
        """Step 7, all but the COMMIT."""
        # CONCURRENTLY writes a changed row as a delete and an insert: it is one row that changed.
        churn = after["updated"] + max(after["inserted"], after["deleted"] or 0)
        row = connection.execute(
            _QUERIES["finish_run"],
            {
                **{name: before[name] for name in ("as_of", "data_as_of", "oldest", "watermark")},
                **{name: after[name] for name in _MEASURED},
                "upstreams_seen": Jsonb(before["upstreams_seen"]),
                "relation": self.target.oid,
                "run": self.run.id,
                "strategy": self.choice.strategy,
                "reason": self.choice.reason,
                "lock_wait": self.lock_wait,
                "churn": churn,
                "changed": churn > 0,
                "misfires": self.task.misfires(before["previous_as_of"], before["as_of"]),
            },
        ).fetchone()
        if row is None:
            message = "the record of this run vanished while it ran"
            raise RefreshError(message, reason=FailureReason.LOST)
        del row["notified"]
        connection.execute(_QUERIES.on("count_at_once", major(connection)))
        return Run.from_row(row)

    def _stop_if_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise CancelledError


def begin_statement(session: Session, timeouts: Timeouts, target: Target) -> sql.Composed:
    """Step 2: one message to the server, in which nothing takes a snapshot."""
    lockable = [source.relation for source in target.sources if source.lockable]
    locks = _LOCK.format(sources=sql.SQL(", ").join(map(identifiers.relation, lockable)))
    settings = session.local_settings(timeouts)
    return _BEGIN.format(settings=settings, locks=locks if lockable else sql.SQL(""))


def _discharged(task: Task, facts: dict[str, Any]) -> bool:
    """Step 4, decided under the fence."""
    as_of: datetime = facts["as_of"]
    previous: datetime | None = facts["previous_as_of"]
    if previous is not None and previous >= as_of:
        return True  # whoever got here first began later than we did
    if task.trigger is Trigger.UPSTREAM:
        return not facts["upstream_newer"]
    # An as_of before due_at is only possible if the database's clock went backwards meanwhile.
    return (previous is not None and previous >= task.due_at) or as_of < task.due_at


def _commit(connection: Connection) -> None:
    try:
        connection.execute("COMMIT")
    except psycopg.Error as error:
        if error.sqlstate is None or connection.broken:
            raise CommitUnansweredError from error
        raise
