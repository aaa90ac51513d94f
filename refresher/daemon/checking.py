"""Judging the checks of one database's plain views, which no refresh does.

It has a thread of its own, and a connection while there is something to judge: a view that takes
long to read delays other plain views' checks, and no refresh. Of several replicas one judges a
view, and the others find that somebody has. What is found is state: it is stored, and said by
whoever stored it.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import psycopg

from refresher.checks.contents import judge
from refresher.checks.due import due_in
from refresher.config.model import View
from refresher.errors import RefresherError
from refresher.events import CheckBroken, CheckMended, Listener, ViewDegraded
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.sessions import (
    Connection,
    Endpoint,
    connect,
    detects_disconnects,
    local_settings,
)
from refresher.store.migrate import require_current
from refresher.store.verdicts import (
    Judged,
    News,
    forget_verdicts,
    read_judged,
    record_verdicts,
    take_turn,
)

_LOGGER = logging.getLogger(__name__)

_AGAIN = timedelta(seconds=30)
"""How long a view is left alone that could not be judged: it is missing, or somebody locked it."""
_LEAST_PAUSE_SECONDS = 0.5
_STOP_SECONDS = 3.0
_CANCEL_SECONDS = 2.0
_CANCEL_AGAIN_SECONDS = 0.5


class Checker:
    """One database's. It begins with the first `look`."""

    def __init__(
        self, alias: str, endpoint: Endpoint, views: Mapping[str, View], *, emit: Listener
    ) -> None:
        self._alias = alias
        self._endpoint = endpoint
        self._views = dict(views)
        self._emit = emit
        self._lock = threading.Lock()
        self._since: dict[str, datetime] = {}
        """By view, when its checks came into force here, by the database's clock."""
        self._held_until: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._checks_client: bool | None = None
        self._connection: Connection | None = None
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{alias} checks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def replace_views(self, views: Mapping[str, View]) -> None:
        """Judge a new configuration's checks, at once where they have changed."""
        with self._lock:
            for name in self._since.keys() - _unchanged(self._views, views):
                del self._since[name]
            self._views = dict(views)
            self._held_until = {}
        self._bell.set()

    def look(self) -> None:
        """Look at once for what is due: the database can be worked with."""
        self._bell.set()

    def drain(self) -> None:
        """Judge no more once what is at work is done."""
        self._stopping.set()
        self._bell.set()

    def stop(self) -> None:
        """Judge no more; what is at work is cancelled, and a hung database is not waited for."""
        self.drain()
        deadline = time.monotonic() + _STOP_SECONDS
        while self._thread.is_alive() and time.monotonic() < deadline:
            connection = self._connection
            if connection is not None and not connection.closed:
                # A busy server may take too long, and what comes too early cancels nothing. Where
                # nothing helps, the server ends it with the connection.
                with contextlib.suppress(psycopg.Error):
                    connection.cancel_safe(timeout=_CANCEL_SECONDS)
            self._thread.join(_CANCEL_AGAIN_SECONDS)

    def _run(self) -> None:
        self._bell.wait()
        while not self._stopping.is_set():
            self._bell.clear()
            pause: timedelta | None = _AGAIN
            try:
                pause = self._round()
            except Exception as error:  # not even a bug may end the checks
                if not isinstance(error, RefresherError | psycopg.Error):
                    _LOGGER.warning("the checks failed", exc_info=error)
                # That a database can't be worked with its loop says.
            self._bell.wait(
                None if pause is None else max(_LEAST_PAUSE_SECONDS, pause.total_seconds())
            )

    def _round(self) -> timedelta | None:
        """Judge what is due; returns when to look again, None if there is nothing to judge."""
        with self._lock:
            plain = {name: view for name, view in self._views.items() if not view.refreshed}
        if not plain:
            return None
        checked = {name: view for name, view in plain.items() if view.checks.names}
        with connect(self._endpoint, application="refresher checks") as connection:
            self._connection = connection
            try:
                require_current(connection)
                forget_verdicts(connection, plain.keys() - checked.keys())
                return self._judge_due(connection, checked)
            finally:
                self._connection = None

    def _judge_due(self, connection: Connection, views: Mapping[str, View]) -> timedelta | None:
        waits = []
        judged = read_judged(connection, views)
        for name, view in views.items():
            if self._stopping.is_set():
                break
            with self._lock:
                since = self._since.setdefault(name, judged[name].now)
            wait = max(_wait(view, judged[name], since), self._held(name))
            if not wait:
                settled = self._judge(connection, view, since)
                wait = view.checks.every if settled else _AGAIN
                self._held_until[name] = time.monotonic() + (0 if settled else wait.total_seconds())
            waits.append(wait)
        return min(waits, default=None)

    def _held(self, name: str) -> timedelta:
        left = self._held_until.get(name, 0.0) - time.monotonic()
        return timedelta(seconds=max(0.0, left))

    def _judge(self, connection: Connection, view: View, since: datetime) -> bool:
        """Judge a view's checks and store the verdicts; returns whether somebody has."""
        try:
            news = self._judge_in_turn(connection, view, since)
        except (RefresherError, psycopg.Error) as error:
            if isinstance(error, psycopg.Error) and breaks_connection(error):
                raise
            if not self._stopping.is_set():
                self._tell_problem(view.name, describe(error))
            return False
        self._problems.pop(view.name, None)
        self._tell(view.name, news or ())
        return news is not None

    def _judge_in_turn(
        self, connection: Connection, view: View, since: datetime
    ) -> tuple[News, ...] | None:
        """What is news; None if somebody else is judging, or this is to stop."""
        if self._checks_client is None:
            self._checks_client = detects_disconnects(connection)
        with connection.transaction():
            connection.execute(
                local_settings(
                    self._endpoint.session,
                    statement=view.timeouts.statement,
                    lock=view.timeouts.lock,
                    checks_client=self._checks_client,
                )
            )
            if not take_turn(connection, view.name):
                return None
            judged = read_judged(connection, [view.name])
            if _wait(view, judged[view.name], since):
                return ()  # somebody else did it since we looked
            broken = judge(connection, view, view.relation)
            if self._stopping.is_set():
                return None  # what was cancelled is not broken
            verdicts = dict.fromkeys(view.checks.names) | {
                each.check: each.message for each in broken
            }
            return record_verdicts(connection, view.name, verdicts)

    def _tell(self, view: str, news: Iterable[News]) -> None:
        for each in news:
            if each.message is None:
                self._emit(CheckMended(database=self._alias, view=view, check=each.check))
            else:
                self._emit(
                    CheckBroken(
                        database=self._alias, view=view, check=each.check, message=each.message
                    )
                )

    def _tell_problem(self, view: str, error: str) -> None:
        problem = f"its checks can't be judged: {error}"
        if self._problems.get(view) != problem:
            self._problems[view] = problem
            self._emit(ViewDegraded(database=self._alias, view=view, problem=problem))


def _wait(view: View, judged: Judged, since: datetime) -> timedelta:
    return due_in(view.checks.every, judged.at, now=judged.now, since=since)


def _unchanged(before: Mapping[str, View], after: Mapping[str, View]) -> frozenset[str]:
    """The views whose checks, and what they are judged on, are the same."""
    return frozenset(
        name
        for name in before.keys() & after.keys()
        if (before[name].checks, before[name].relation, before[name].kind)
        == (after[name].checks, after[name].relation, after[name].kind)
    )
