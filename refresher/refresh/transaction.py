"""Steps 2 to 7 of a refresh: the one transaction (`attempt.py` has the whole story)."""

import threading
import time
from collections.abc import Sequence
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
from refresher.freshness import Age, refreshed
from refresher.postgres import identifiers
from refresher.postgres.messages import ask_together
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, major
from refresher.refresh import concurrent, full, merge
from refresher.refresh.choose import Choice
from refresher.refresh.session import Session
from refresher.refresh.task import Obstacle, Task
from refresher.runs import Run, Strategy, Trigger

_QUERIES = load_queries("refresher.refresh", "attempt.sql")

_LOCK_TIMEOUT = "ProcessInterrupts"
"""Where PostgreSQL raises 55P03 (src/backend/tcop/postgres.c) when lock_timeout is over.

NOWAIT has the same SQLSTATE, and their messages are in the server's language."""

_TAKE_FENCE = (_QUERIES["take_fence"],)
_TAKE_FENCE_BELOW = (*_TAKE_FENCE, _QUERIES["read_upstreams"])
"""The same for a view that has upstreams."""
_BEGIN = sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; {settings}{locks}")
_LOCK = sql.SQL("; LOCK TABLE {sources} IN ACCESS SHARE MODE")

_THEN = sql.SQL("; ")

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
        after = self._run_strategy(connection, before)
        if storage_files(connection, self.target.unlockable_storages) != files:
            message = "a source that can't be locked was rewritten while it was read"
            raise RefreshError(message, reason=FailureReason.SERIALIZATION)
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
        statements = _TAKE_FENCE_BELOW if task.upstreams else _TAKE_FENCE
        parameters = {
            "max_parallel": task.max_parallel,
            "view": task.view.name,
            "run": self.run.id,
            "worker": self.session.worker,
            "upstreams": list(task.upstreams),
            "relation": self.target.oid,
            "schema": self.target.relation.schema,
            "name": self.target.relation.name,
        }
        try:
            (taken,), *upstreams = ask_together(connection, statements, parameters)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.SerializationFailure) as error:
            if error.diag.source_function == _LOCK_TIMEOUT:
                raise
            # Somebody holds it, or held it until after our snapshot: nothing has failed.
            raise NotBegunError(Obstacle.FENCE) from error
        if not taken["slot"]:
            raise NotBegunError(Obstacle.SLOT)
        if not taken["fence"]:
            message = f"the fence of {task.view.name!r} is missing; run `refresher apply`"
            raise RefreshError(message, reason=FailureReason.OTHER)
        facts = _with_ages(task, taken, [row for rows in upstreams for row in rows])
        if not facts["stands"]:
            # It was exchanged for another one since it was looked at: look again.
            raise NotBegunError(Obstacle.FENCE)
        if not facts["open"] or _discharged(task, facts):
            raise NotBegunError(Obstacle.DISCHARGED)
        return facts

    def _run_strategy(self, connection: Connection, before: dict[str, Any]) -> dict[str, Any]:
        """Step 6, and what came of it."""
        refresh: sql.Composed | None = None
        match self.choice.strategy:
            case Strategy.FULL:
                refresh = full.statement(self.target.relation)
            case Strategy.CONCURRENT:
                refresh = concurrent.statement(self.target.relation)
            case Strategy.MERGE:
                merge.merge(connection, self.target, self.task.view.key)
            case other:
                assert_never(other)
        # No parameters: a % in the relation's name would be taken for one.
        measure = _QUERIES["measure"].format(
            relation=identifiers.relation(self.target.relation), oid=sql.Literal(self.target.oid)
        )
        count_at_once = _QUERIES.on("count_at_once", major(connection))
        statements = [count_at_once, *([] if refresh is None else [refresh]), measure]
        cursor = connection.execute(_THEN.join(statements))
        cursor.set_result(-1)
        after = cursor.fetchone()
        assert after is not None  # noqa: S101 - the query always returns one row
        after.update({name: after[name] - before[name] for name in _CHURN})
        after["rows_written"] = before["rows_written"] + sum(after[name] for name in _CHURN)
        if self.choice.strategy is Strategy.FULL:
            # A plain refresh writes a new heap: PostgreSQL counts what came, not what went.
            after["deleted"] = before["previous_rows"]
        return after

    def _check(self, connection: Connection, before: dict[str, Any], after: dict[str, Any]) -> None:
        if not self.task.view.checks.names:
            return
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
        (finished,) = ask_together(
            connection,
            (_QUERIES["finish_run"],),
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
        )
        if not finished:
            message = "the record of this run vanished while it ran"
            raise RefreshError(message, reason=FailureReason.LOST)
        return Run.from_row(finished[0])

    def _stop_if_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise CancelledError


def begin_statement(session: Session, timeouts: Timeouts, target: Target) -> sql.Composed:
    """Step 2: one message to the server, in which nothing takes a snapshot."""
    lockable = [source.relation for source in target.sources if source.lockable]
    locks = _LOCK.format(sources=sql.SQL(", ").join(map(identifiers.relation, lockable)))
    settings = session.local_settings(timeouts)
    return _BEGIN.format(settings=settings, locks=locks if lockable else sql.SQL(""))


def _with_ages(
    task: Task, facts: dict[str, Any], upstreams: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What was read under the fence, with what it says of the new contents' age."""
    ages = {row["name"]: Age(row["data_as_of"], tuple(row["oldest"])) for row in upstreams}
    age = refreshed(task.view.name, facts["as_of"], ages, unmanaged=facts["unmanaged"])
    seen = facts["previous_upstreams_seen"]
    return {
        **facts,
        "data_as_of": age.data_as_of,
        "oldest": list(age.oldest),
        "upstreams_seen": {
            row["name"]: row["as_of"] and row["as_of"].isoformat() for row in upstreams
        },
        "upstream_newer": any(_is_newer(row["as_of"], seen.get(row["name"])) for row in upstreams),
    }


def _is_newer(as_of: datetime | None, seen: str | None) -> bool:
    """Whether an upstream has other contents than those that were read of it before."""
    return as_of is not None and (seen is None or as_of > datetime.fromisoformat(seen))


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
