"""Staged rows are written in batches, between whoever else writes to the table.

    1  the fence, and is the run still ours?      whoever took it over goes on instead
    2  lock the batch's rows, pass over locked ones
    3  write what was locked, strike it off the stage; COMMIT

What was locked by others is tried again in a further pass, until there has been time enough.

Why no application ends in a deadlock with it: of rows it waits for none. A trigger or a foreign key
may make it wait all the same, but for less than `LONG` and so for far less than the second
(`deadlock_timeout`) that an application must have waited for this batch before PostgreSQL looks
for a circle. A batch that waited for too long is rolled back, and its rows are tried again.

No batch waits for the disk while it has rows locked: what a crash of the server undoes differs
again for the next run. The last transaction, which records the end, waits, and so for all of them.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
from psycopg import sql

from refresher.config.model import Timeouts
from refresher.errors import FailureReason, RefreshError
from refresher.postgres import identifiers
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.refresh.columns.pace import FIRST_ROWS, LONG, LOOK_AGAIN, Standbys, next_rows, rest
from refresher.refresh.columns.staging import Filled
from refresher.refresh.session import Session
from refresher.refresh.transaction import CancelledError

_QUERIES = load_queries("refresher.refresh.columns", "writing.sql")

_PASS_PAUSE = timedelta(milliseconds=100)
_RENEWAL_SECONDS = 1.0
_TRY_AGAIN = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,  # others moved a row to another partition
)

_COMMA = sql.SQL(", ")
_AND = sql.SQL(" AND ")


class LostRunError(Exception):
    """Somebody took the run over, or closed it: what is left to write is theirs."""


@dataclass(slots=True)
class Written:
    """What has been done so far."""

    rows: int = 0
    """Written."""
    altered: int = 0
    """Of these, those that differed again at once: a trigger of the table made them."""
    refused: int = 0
    """Rows that a trigger of the table kept as they were."""
    done: int = 0
    """Struck off the stage, be it because their row is gone."""

    @property
    def resisting(self) -> int:
        """Rows that do not hold what was written to them."""
        return self.altered + self.refused


@dataclass(slots=True, kw_only=True)
class Writing:
    """The batches of one run. `cancelled` may be set from another thread."""

    session: Session
    view: str
    run: int
    filled: Filled
    total: int
    """How many rows are staged."""
    timeouts: Timeouts
    max_rows_per_second: int | None
    standbys: Standbys
    cancelled: threading.Event
    tell: Callable[[Written], None]
    """Called after each batch."""
    written: Written = field(default_factory=Written, init=False)
    _rest: timedelta = field(default=timedelta(), init=False)
    """How long to wait before the next batch."""
    _rows: int = field(default=FIRST_ROWS, init=False)
    """How many the next batch may have."""
    _held_at: float = field(default=0.0, init=False)

    def carry_out(self) -> Written:
        """Write all staged rows.

        Raises:
            LostRunError: somebody else goes on with it.
            CancelledError: it was cancelled; what was written stays written.
            RefreshError: (lock_timeout) others held rows for too long; the rest is written.
                (connection) the stage was emptied.
            psycopg.Error: whatever PostgreSQL says.
        """
        # Never another one: after a crash of the server the stage is empty, and all looks done.
        connection = self.session.connection()
        self._held_at = moved = time.monotonic()
        while self.written.done < self.total:
            before = self.written.done
            self._pass(connection)
            now = time.monotonic()
            if self.written.done > before:
                moved = now
            elif now - moved >= self.timeouts.statement.total_seconds():
                raise self._refused(self.total - self.written.done)
            if self.written.done < self.total:
                self._pause(connection, _PASS_PAUSE)
        return self.written

    def _pass(self, connection: Connection) -> None:
        """Try each row that is left once."""
        after: int | None = 0
        while after is not None and self.written.done < self.total:
            self._pause(connection, self._rest)
            while self.standbys.are_behind(connection):
                self._pause(connection, LOOK_AGAIN)
            if self.cancelled.is_set():
                raise CancelledError
            began, rows = time.monotonic(), self.written.rows
            after = self._batch(connection, after)
            took = timedelta(seconds=time.monotonic() - began)
            if after is not None:
                self._rows = next_rows(self._rows, took)
            self._rest = rest(took, self.written.rows - rows, self.max_rows_per_second)
            self.tell(self.written)

    def _batch(self, connection: Connection, after: int) -> int | None:
        """Write those after a number; returns the last one that was tried, None at the end."""
        last: int | None = None
        try:
            self._begin(connection)
            connection.execute(_QUERIES["wait_for_no_disk"])
            if after == 0:
                self._require_stage(connection)
            found = connection.execute(self._query("next", after=after, batch=self._size))
            last = found.fetchone()["last"]  # type: ignore[index]  # an aggregate returns one row
            done = Written() if last is None else self._write(connection, after, last)
            connection.execute("COMMIT")
        except _TRY_AGAIN:
            connection.execute("ROLLBACK")
            return last
        except BaseException:
            if not connection.broken:
                connection.execute("ROLLBACK")
            raise
        self.written.rows += done.rows
        self.written.altered += done.altered
        self.written.refused += done.refused
        self.written.done += done.done
        return last

    def _write(self, connection: Connection, after: int, last: int) -> Written:
        bounds = {"after": after, "last": last}
        rows = connection.execute(self._query("lock", **bounds)).fetchall()
        locked = [row["number"] for row in rows]
        found = connection.execute(self._query("write", **bounds, locked=locked)).fetchone()
        assert found is not None  # noqa: S101 - the query always returns one row
        return Written(
            rows=found["written"],
            altered=found["altered"],
            refused=len(locked) - found["written"],
            done=found["struck"],
        )

    def begin_last(self, connection: Connection) -> None:
        """Begin a transaction under the fence, for the caller to end.

        Raises:
            LostRunError: somebody else goes on with it.
            CancelledError: it was cancelled.
            RefreshError: (connection) the stage was emptied.
            psycopg.Error: whatever PostgreSQL says.
        """
        while True:
            try:
                self._begin(connection)
            except psycopg.errors.LockNotAvailable:
                connection.execute("ROLLBACK")
                self._pause(connection, _PASS_PAUSE)
            else:
                return self._require_stage(connection)

    def _begin(self, connection: Connection) -> None:
        connection.execute(_QUERIES["begin"].format(settings=self._settings()))
        self.hold_fence(connection)

    def hold_fence(self, connection: Connection) -> None:
        """Make sure that the run is still ours to go on with, and let others know that we do.

        Raises:
            LostRunError: it is not.
            psycopg.errors.LockNotAvailable: somebody has the fence, for a moment perhaps.
            psycopg.Error: whatever PostgreSQL says.
        """
        ours = {
            "view": self.view,
            "run": self.run,
            "done": self.written.done,
            "total": self.total,
        }
        try:
            held = connection.execute(_QUERIES["hold_fence"], ours).fetchone()
        except psycopg.errors.LockNotAvailable as error:
            if time.monotonic() - self._held_at < self.timeouts.lock.total_seconds():
                raise
            raise LostRunError from error
        if held is None:
            raise LostRunError
        self._held_at = time.monotonic()

    @property
    def _size(self) -> int:
        """Rows a batch: a slow pace is kept within a second, too."""
        return min(self._rows, self.max_rows_per_second or self._rows)

    def _pause(self, connection: Connection, length: timedelta) -> None:
        """Wait, and go on being known to live."""
        until = time.monotonic() + length.total_seconds()
        while (left := until - time.monotonic()) > 0:
            if self.cancelled.wait(min(left, _RENEWAL_SECONDS)):
                raise CancelledError
            if time.monotonic() - self._held_at >= _RENEWAL_SECONDS:
                with contextlib.suppress(psycopg.errors.LockNotAvailable):
                    self.hold_fence(connection)

    def _settings(self) -> sql.SQL:
        limits = Timeouts(lock=min(LONG, self.timeouts.lock), statement=self.timeouts.statement)
        return self.session.local_settings(limits)

    def _query(self, name: str, **values: object) -> sql.Composed:
        literals = {key: sql.Literal(value) for key, value in values.items()}
        return _QUERIES[name].format(**_parts(self.filled), **literals)

    def _require_stage(self, connection: Connection) -> None:
        """Make sure that no crash of the server has emptied the stage, and taken batches back.

        A pooler keeps its clients over one. Rows that were struck off still take their room.
        """
        found = connection.execute(self._query("room")).fetchone()
        if self.total and not (found and found["bytes"]):
            message = (
                f"{self.filled.stage} lost the rows that were to be written, as after a crash of"
                " the server; the next refresh writes them"
            )
            raise RefreshError(message, reason=FailureReason.CONNECTION)

    def _refused(self, left: int) -> RefreshError:
        rows = "1 row" if left == 1 else f"{left:,} rows"
        message = (
            f"{rows} of {self.filled.table} could not be written, for others kept them locked, or a"
            " policy lets refresher's role read but not write them; all others are. Look for long"
            " transactions that write to it, and for row security"
        )
        return RefreshError(message, reason=FailureReason.LOCK_TIMEOUT)


def _parts(filled: Filled) -> dict[str, sql.Composable]:
    """`t` is the table, `s` the stage."""
    keys = [
        sql.SQL("t.{} = s.{}").format(sql.Identifier(name), sql.Identifier(f"key_{number}"))
        for number, name in enumerate(filled.key, 1)
    ]
    new = [
        (sql.Identifier(name), sql.Identifier(f"new_{number}"))
        for number, name in enumerate(filled.columns, 1)
    ]
    return {
        "table": identifiers.relation(filled.table),
        "stage": identifiers.relation(filled.stage),
        "stage_name": sql.Literal(str(filled.stage)),
        "match": _AND.join(keys),
        "assignments": _COMMA.join(sql.SQL("{} = s.{}").format(*pair) for pair in new),
        "now": _COMMA.join(sql.SQL("t.{}").format(name) for name, _ in new),
        "wanted": _COMMA.join(sql.SQL("s.{}").format(value) for _, value in new),
        "strength": sql.SQL("UPDATE" if filled.identifying else "NO KEY UPDATE"),
    }
