"""Steps 2 to 7 of a refresh: the one transaction (`attempt.py` has the whole story)."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
from psycopg import sql

from refresher.catalog.model import Target
from refresher.config.model import Timeouts
from refresher.events import Listener, RunStarted, VerifyMismatch
from refresher.postgres import identifiers
from refresher.postgres.sessions import Connection
from refresher.refresh.audit import key_in_words
from refresher.refresh.member import Member
from refresher.refresh.session import Session
from refresher.refresh.task import NotBegunError, Obstacle
from refresher.runs import Run

_BEGIN = sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; {settings}{locks}")
_LOCK = sql.SQL("; LOCK TABLE {sources} IN ACCESS SHARE MODE")


class CancelledError(Exception):
    """Unwinds a transaction whose cancellation was asked for between two statements."""


class CommitUnansweredError(Exception):
    """The connection broke while COMMIT was on its way: it may have happened, or not."""


@dataclass(slots=True, kw_only=True)
class Transaction:
    """The refresh itself. COMMIT is the only way out that leaves anything behind."""

    session: Session
    cancelled: threading.Event
    emit: Listener
    members: tuple[Member, ...] = ()
    """A view, or those of a group, each after those it reads."""
    lock_wait: float = field(default=0.0, init=False)
    at: str | None = field(default=None, init=False)
    """Whose turn it is, by the view's name; None where it is everybody's."""
    began: float = field(default=0.0, init=False)
    """By the monotonic clock; when BEGIN was sent."""
    activity: str = field(default="refreshing", init=False)
    """What it is doing, in words, for whoever shows it."""

    def carry_out(self) -> list[Run]:
        """Refresh and commit; returns the finished runs, in the order of members.

        Raises:
            NotBegunError: somebody else did it, or holds a fence, or every slot is taken.
            CancelledError: it was cancelled before it wrote anything.
            CommitUnansweredError: nobody knows yet whether it happened.
            RefreshError: a check is broken, or a source was rewritten under it.
            psycopg.Error: whatever PostgreSQL says.
        """
        connection = self.session.connection()
        self.at = None
        for member in self.members:
            member.note_files(connection)
        self._begin(connection)
        self._take_fences(connection)
        for member in self.members:
            self.emit(RunStarted(database=self.session.endpoint.alias, run=member.begun))
        finished = self._refresh(connection)
        commit(connection)
        self._tell_mismatches()
        return finished

    def timed_out(self) -> bool:
        """Whether it has been at work for as long as a statement may take.

        PostgreSQL has one SQLSTATE, 57014, for a timeout and for somebody's pg_cancel_backend, and
        tells them apart in the language of the server's messages only.
        """
        return time.monotonic() - self.began >= self._timeouts.statement.total_seconds()

    @property
    def _timeouts(self) -> Timeouts:
        """The longest of all members."""
        timeouts = [member.task.view.timeouts for member in self.members]
        return Timeouts(
            lock=max((each.lock for each in timeouts), default=timedelta()),
            statement=max((each.statement for each in timeouts), default=timedelta()),
        )

    def _begin(self, connection: Connection) -> None:
        """Step 2."""
        targets = [member.target for member in self.members]
        begin = begin_statement(self.session, self._timeouts, targets)
        self.began = time.monotonic()
        try:
            connection.execute(begin)
        finally:
            self.lock_wait = time.monotonic() - self.began

    def _take_fences(self, connection: Connection) -> None:
        """Steps 3 to 5."""
        for number, member in enumerate(self.members):
            member.take_fence(connection, self.session.worker, has_slot=number > 0)
        overtaken = any(member.overtaken for member in self.members)
        if overtaken or all(member.discharged for member in self.members):
            raise NotBegunError(Obstacle.DISCHARGED)

    def _refresh(self, connection: Connection) -> list[Run]:
        """Steps 6 and 7, all but the COMMIT."""
        finished: list[Run] = []
        before: dict[str, Member] = {}
        for member in self.members:
            self.at = member.task.view.name
            self._stop_if_cancelled()
            member.refresh(connection, before)
            member.audit(connection)
            member.check(connection)
            self._stop_if_cancelled()
            finished.append(member.finish(connection, self.lock_wait))
            before[member.task.view.name] = member
        self.at = None
        return finished

    def _tell_mismatches(self) -> None:
        for member in self.members:
            if member.audited is not None and member.audited.differing:
                self.emit(
                    VerifyMismatch(
                        database=self.session.endpoint.alias,
                        view=member.task.view.name,
                        rows=member.audited.differing,
                        of=member.audited.rows,
                        keys=tuple(key_in_words(row.key) for row in member.audited.examples),
                    )
                )

    def _stop_if_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise CancelledError


def begin_statement(
    session: Session, timeouts: Timeouts, targets: Iterable[Target]
) -> sql.Composed:
    """Step 2: one message to the server, in which nothing takes a snapshot."""
    # In one order for everybody, so that nobody waits for each other in a circle.
    sources = {
        source.oid: source.relation
        for target in targets
        for source in target.sources
        if source.lockable
    }
    lockable = [identifiers.relation(sources[oid]) for oid in sorted(sources)]
    locks = _LOCK.format(sources=sql.SQL(", ").join(lockable))
    settings = session.local_settings(timeouts)
    return _BEGIN.format(settings=settings, locks=locks if lockable else sql.SQL(""))


def commit(connection: Connection) -> None:
    """Commit what a run did and its record.

    Raises:
        CommitUnansweredError: nobody knows yet whether it happened.
        psycopg.Error: it did not.
    """
    try:
        connection.execute("COMMIT")
    except psycopg.Error as error:
        if error.sqlstate is None or connection.broken:
            raise CommitUnansweredError from error
        raise
