"""Vacuuming and analysing one view, and giving way to whoever wants it meanwhile.

VACUUM keeps refreshes of the view waiting, and a refresh waits for little before it fails. So it
begins only if nobody has a lock that it would wait for, and it is cancelled as soon as anybody
waits for one: a refresh of this process or of another replica, somebody else's, an apply. It needs
no fence for that, so nobody takes it for a refresh. What a cancelled one has done is not all lost.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg import sql

from refresher.config.model import View
from refresher.postgres import identifiers
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import (
    Connection,
    detects_disconnects,
    is_pooled,
    major,
    milliseconds,
    set_session,
)
from refresher.refresh.vacuum import Command, VacuumFacts

_QUERIES = load_queries("refresher.refresh", "vacuum.sql")

# Nothing is cut off the end: that takes ACCESS EXCLUSIVE, and on a standby readers are cancelled
# for it (postgresql.org/docs: sql-vacuum.html, hot-standby.html).
_COMMANDS = {
    Command.VACUUM: sql.SQL("VACUUM (SKIP_LOCKED, PARALLEL 0, TRUNCATE false) {}"),
    Command.ANALYZE: sql.SQL("ANALYZE (SKIP_LOCKED) {}"),
    Command.BOTH: sql.SQL("VACUUM (SKIP_LOCKED, PARALLEL 0, TRUNCATE false, ANALYZE) {}"),
}
_LOOK_SECONDS = 0.05
"""How often it is asked whether somebody waits; a plain refresh waits for 300 ms."""
_CANCEL_SECONDS = 2.0
_COUNTED_SECONDS = 2.0
"""How long PostgreSQL 14 may take to count what a command did."""
_LOCK_NOT_AVAILABLE = "55P03"
_FIRST_WITH_TRANSACTION_TIMEOUT = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A view's relation, and what is counted in it."""

    oid: int
    owner: str
    rows: int
    dead_rows: int
    modified: int
    since_vacuum: timedelta | None
    since_analyze: timedelta | None
    permitted: bool
    """Whether we may vacuum it."""

    def facts(self, unremovable: int) -> VacuumFacts:
        """The facts that decide."""
        return VacuumFacts(
            rows=self.rows,
            dead_rows=self.dead_rows,
            unremovable=unremovable,
            modified=self.modified,
            since_vacuum=self.since_vacuum,
            since_analyze=self.since_analyze,
        )


def count(connection: Connection, views: Mapping[str, View]) -> dict[str, Counted]:
    """What is counted in each of these views that stands and is filled."""
    rows = connection.execute(
        _QUERIES["facts"],
        {
            "views": list(views),
            "schemas": [view.relation.schema for view in views.values()],
            "names": [view.relation.name for view in views.values()],
        },
    ).fetchall()
    found = connection.execute(
        _QUERIES.on("permitted", major(connection)), {"oids": [row["oid"] for row in rows]}
    )
    ours = {row["oid"] for row in found}
    return {row.pop("view"): Counted(**row, permitted=row["oid"] in ours) for row in rows}


def vacuum(
    connection: Connection,
    watching: Connection,
    view: View,
    oid: int,
    command: Command,
    *,
    give_way: Callable[[], bool],
) -> bool:
    """Carry out a command; returns whether it was carried out, and not given up for somebody else.

    Args:
        connection: for this alone; it is closed if the command is given up, since a request to
            cancel may come late.
        watching: another one, by which to see who waits.
        view: what is vacuumed.
        oid: its relation's.
        command: what to do.
        give_way: asked all the time; true if it has to be given up.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    _settle(connection, view)
    work = _Work(connection, _COMMANDS[command].format(identifiers.relation(view.relation)))
    work.start()
    try:
        while not work.ended(_LOOK_SECONDS):
            if give_way() or _awaited(watching, oid):
                work.cancel()
    finally:
        work.finish()
    return work.outcome()


def wait_until_counted(connection: Connection, view: View, command: Command) -> Counted | None:
    """What is counted once a command has been; None if the view is gone meanwhile."""
    deadline = time.monotonic() + _COUNTED_SECONDS
    while True:
        counted = count(connection, {view.name: view}).get(view.name)
        if counted is None or time.monotonic() > deadline:
            return counted
        since = counted.since_analyze if command is Command.ANALYZE else counted.since_vacuum
        if since is not None and since.total_seconds() < _COUNTED_SECONDS:
            return counted
        time.sleep(_LOOK_SECONDS)


def _settle(connection: Connection, view: View) -> None:
    """Be slow, be bounded, and don't outlive this process.

    VACUUM allows no transaction, hence no SET LOCAL; where a pooler would give such settings to
    others, those of the role are in force.
    """
    if is_pooled(connection):
        return
    settings = {
        "statement_timeout": milliseconds(view.timeouts.statement),
        "lock_timeout": milliseconds(view.timeouts.lock),
        "vacuum_cost_delay": "2ms",
    }
    if major(connection) >= _FIRST_WITH_TRANSACTION_TIMEOUT:
        settings["transaction_timeout"] = "0"
    if detects_disconnects(connection):
        settings["client_connection_check_interval"] = "1s"
    for name, value in settings.items():
        connection.execute(set_session(name, value))


def _awaited(connection: Connection, oid: int) -> bool:
    row = connection.execute(_QUERIES["awaited"], {"oid": oid}).fetchone()
    return bool(row and row["awaited"])


class _Work:
    """A command in a thread of its own, so that somebody can watch over it."""

    def __init__(self, connection: Connection, command: sql.Composed) -> None:
        self._connection = connection
        self._command = command
        self._cancelled = False
        self._skipped = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="vacuum", daemon=True)
        connection.add_notice_handler(self._notice)

    def start(self) -> None:
        self._thread.start()

    def ended(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """To be repeated until it has ended: it may come before the command."""
        self._cancelled = True
        with contextlib.suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def finish(self) -> None:
        """Have it ended, however that goes."""
        while self._thread.is_alive():
            self.cancel()
            if self._connection.closed or self.ended(_LOOK_SECONDS):
                break
        self._connection.remove_notice_handler(self._notice)
        if self._cancelled:
            self._connection.close()

    def outcome(self) -> bool:
        """Whether it was done; raises what went wrong, unless that was a cancellation of ours."""
        if isinstance(self._error, psycopg.errors.QueryCanceled) and self._cancelled:
            return False
        if self._error is not None:
            raise self._error
        return not self._skipped

    def _run(self) -> None:
        try:
            self._connection.execute(self._command)
        except Exception as error:  # noqa: BLE001 - raised by `outcome`, where somebody listens
            self._error = error

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        # PostgreSQL says so in the language of its messages; the code is the same in each.
        self._skipped = self._skipped or diagnostic.sqlstate == _LOCK_NOT_AVAILABLE
