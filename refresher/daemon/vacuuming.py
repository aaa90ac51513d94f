"""Vacuuming and analysing one database's views after their refreshes, by policy.

It has a thread of its own, works on one view at a time, and gives way to everybody. It is told
which views this process has refreshed, so that of several replicas the one that did looks; at the
start each looks at all of them. What can't be done is said once, and costs no refresh anything.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

import psycopg

from refresher.config.model import View
from refresher.errors import RefresherError
from refresher.events import Listener, ViewDegraded, ViewVacuumed
from refresher.names import quoted
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.sessions import Connection, Endpoint, connect
from refresher.refresh.vacuum import Command, NotYet, Wanted, decide
from refresher.refresh.vacuuming import Counted, count, vacuum, wait_until_counted

_LOGGER = logging.getLogger(__name__)

_GATHER_SECONDS = 1.0
"""How long it waits for further refreshes to end; PostgreSQL counts what they wrote meanwhile."""
_AGAIN = timedelta(seconds=30)
"""How long a database is left alone that can't be worked with; its loop says so."""
_STOP_SECONDS = 3.0


class Vacuumer:
    """One database's. `needed` tells whether a view is due, or being refreshed, in this process."""

    def __init__(
        self,
        alias: str,
        endpoint: Endpoint,
        views: Mapping[str, View],
        *,
        needed: Callable[[str], bool],
        emit: Listener,
    ) -> None:
        self._alias = alias
        self._endpoint = endpoint
        self._views = dict(views)
        self._needed = needed
        self._emit = emit
        self._lock = threading.Lock()
        self._wanted: dict[str, float] = {}
        """Views to look at, and when at the earliest, by the monotonic clock."""
        self._unremovable: dict[str, int] = {}
        self._problems: dict[str, str] = {}
        self._connection: Connection | None = None
        self._hand: Connection | None = None
        self._outdated = threading.Event()
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{alias} vacuum", daemon=True)

    def start(self) -> None:
        """Begin; there is nothing to do before the first `look` or `refreshed`."""
        self._thread.start()

    def replace_views(self, views: Mapping[str, View]) -> None:
        """Put a new configuration's views in force, and look at all of them."""
        self._views = dict(views)
        self.look()

    def look(self) -> None:
        """Look at all views: the database, another server perhaps, can be worked with."""
        self._outdated.set()
        self._want(self._views)

    def refreshed(self, view: str) -> None:
        """Look at a view that was refreshed here."""
        self._want([view])

    def drain(self) -> None:
        """Do nothing more; what is at work is cancelled."""
        self._stopping.set()
        self._bell.set()

    def stop(self) -> None:
        """Do nothing more; a hung database is not waited for."""
        self.drain()
        self._thread.join(_STOP_SECONDS)

    def _want(self, names: Iterable[str], wait: timedelta = timedelta()) -> None:
        not_before = time.monotonic() + wait.total_seconds()
        with self._lock:
            self._wanted.update(dict.fromkeys(names, not_before))
        self._bell.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._bell.wait(self._seconds_until_wanted())
            self._stopping.wait(_GATHER_SECONDS)
            self._bell.clear()
            names = self._take_wanted()
            if self._stopping.is_set() or not names:
                continue
            try:
                self._round(names)
            except Exception as error:  # not even a bug may end the thread
                if not isinstance(error, RefresherError | psycopg.Error):
                    _LOGGER.warning("the vacuuming failed", exc_info=error)
                # That a database can't be worked with its loop says.
                self._disconnect()
                self._want(names, _AGAIN)
        self._disconnect()

    def _seconds_until_wanted(self) -> float | None:
        with self._lock:
            first = min(self._wanted.values(), default=None)
        return None if first is None else max(0.0, first - time.monotonic())

    def _take_wanted(self) -> list[str]:
        now = time.monotonic()
        with self._lock:
            names = [name for name, not_before in self._wanted.items() if not_before <= now]
            for name in names:
                del self._wanted[name]
        return names

    def _round(self, names: Iterable[str]) -> None:
        views = {
            name: view
            for name in names
            if (view := self._views.get(name)) is not None and view.refreshed and view.vacuum
        }
        if not views:
            return
        if self._outdated.is_set():
            self._outdated.clear()
            self._disconnect()
        if self._connection is None:
            self._connection = connect(self._endpoint, application="refresher vacuum")
        try:
            self._vacuum_all(self._connection, views)
        finally:
            if self._hand is not None:
                self._hand.close()

    def _vacuum_all(self, connection: Connection, views: Mapping[str, View]) -> None:
        for name, counted in count(connection, views).items():
            if self._stopping.is_set():
                return
            left = min(self._unremovable.get(name, 0), counted.dead_rows)
            self._unremovable[name] = left
            match decide(counted.facts(left)):
                case Wanted(command, reason):
                    self._vacuum(connection, views[name], counted, command, reason)
                case NotYet(wait):
                    self._want([name], wait)
                case None:
                    pass

    def _vacuum(
        self, connection: Connection, view: View, counted: Counted, command: Command, reason: str
    ) -> None:
        if not counted.permitted:
            owner = quoted(counted.owner)
            self._tell_problem(view.name, f"it belongs to {owner}, and only its owner may do that")
            return
        began = time.monotonic()
        try:
            done = not self._must_give_way(view.name) and vacuum(
                self._connected(),
                connection,
                view,
                counted.oid,
                command,
                give_way=lambda: self._must_give_way(view.name),
            )
        except (RefresherError, psycopg.Error) as error:
            if isinstance(error, RefresherError) or breaks_connection(error):
                raise
            self._tell_problem(view.name, describe(error))
            return
        self._problems.pop(view.name, None)
        if done:
            took = time.monotonic() - began
            self._tell(connection, view, command, reason, took)

    def _connected(self) -> Connection:
        """The connection that commands are carried out by, for as long as one follows another."""
        if self._hand is None or self._hand.closed:
            self._hand = connect(self._endpoint, application="refresher vacuum")
        return self._hand

    def _must_give_way(self, view: str) -> bool:
        return self._stopping.is_set() or self._needed(view)

    def _tell(
        self, connection: Connection, view: View, command: Command, reason: str, took: float
    ) -> None:
        after = wait_until_counted(connection, view, command)
        left = 0 if after is None else after.dead_rows
        if command is not Command.ANALYZE:
            self._unremovable[view.name] = left
        self._emit(
            ViewVacuumed(
                database=self._alias,
                view=view.name,
                command=command,
                reason=reason,
                dead_rows=left,
                seconds=took,
            )
        )

    def _tell_problem(self, view: str, error: str) -> None:
        problem = f"it can't be vacuumed: {error}; where that is as it should be, vacuum: never"
        if self._problems.get(view) != problem:
            self._problems[view] = problem
            self._emit(ViewDegraded(database=self._alias, view=view, problem=problem))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
