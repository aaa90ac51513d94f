"""Watching what others do to the views of one database: drift, and refreshes that are not ours.

It has a thread and a connection of its own, beside the work and never in its way. What it finds is
state: it is stored, and said once by whichever replica stored it. Of several replicas one looks,
and the others find that somebody has. Nothing here says whether the daemon is well.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta

import psycopg

from refresher.config.model import View
from refresher.definitions.compare import Drift
from refresher.definitions.look import look_for_drift
from refresher.errors import RefresherError
from refresher.events import DriftFound, DriftGone, DriftUnknown, Listener, RefreshedOutside
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.sessions import Connection, Endpoint, connect
from refresher.schedule.attention import Turns
from refresher.store.drift import (
    DriftRecord,
    look_due,
    look_overdue,
    record_drift,
    record_problem,
)
from refresher.store.migrate import require_current
from refresher.store.outside import see_refreshed_outside

_LOGGER = logging.getLogger(__name__)

_LOOK_EVERY = timedelta(minutes=5)
_LOOK_SHARE = 0.01
"""Of the time, at most, is spent on looks where there are very many views: PostgreSQL normalises
every definition for one, which costs some milliseconds and some dead rows in the catalog each."""
_REST = 4.0
"""How many times as long as the work for some views the rest is before the next, where there are
many: readers want the machine, too."""
_REST_BESIDE_REFRESHES = 20.0
"""The same while this process refreshes views: they are wanted sooner."""
_TICK_SECONDS = 5.0
"""How often it is asked whether a look is due, and whether somebody else refreshed a view."""
_LOOKS = 24
"""In how many such ticks everyone's turn comes to be asked about: two minutes, where the views are
too many to be all asked about each time. PostgreSQL itself counts a minute late, at times."""
_AGAIN_SECONDS = 30.0
"""How long a look that met somebody's lock is put off."""
_STOP_SECONDS = 3.0


class _Overtaken(Exception):  # noqa: N818 - it is no error
    """What is being compared is not what is to be compared any more."""


class Watch:
    """One database's. It begins with the first `look`."""

    def __init__(
        self,
        alias: str,
        endpoint: Endpoint,
        views: Mapping[str, View],
        *,
        emit: Listener,
        left: Callable[[Connection], Collection[str]] = lambda _connection: (),
        busy: Callable[[], int] = lambda: 0,
    ) -> None:
        """Prepare a watch.

        Args:
            alias: the database's.
            endpoint: how to reach it.
            views: what to watch.
            emit: told what is found.
            left: asks the database which views are left to daemons with a newer configuration.
            busy: how many refreshes are at work here.
        """
        self._left = left
        self._busy = busy
        self._alias = alias
        self._endpoint = endpoint
        self._views = dict(views)
        self._emit = emit
        self._wanted = threading.Event()
        self._not_before = 0.0
        self._every = _LOOK_EVERY
        self._turns = Turns(_LOOKS)
        self._taking_turns: Mapping[str, View] = {}
        self._seen_at = 0.0
        self._bell = threading.Event()
        self._outdated = threading.Event()
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name=f"{alias} watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def replace_views(self, views: Mapping[str, View]) -> None:
        """Compare a new configuration's views, at once."""
        self._views = dict(views)
        self.look()

    def look(self) -> None:
        """Compare now: something has changed."""
        self._wanted.set()
        self._bell.set()

    def renew(self) -> None:
        """Compare what the primary of now has: a demoted one goes on answering who only reads."""
        self._outdated.set()
        self.look()

    def stop(self) -> None:
        """Watch no more; a hung database is not waited for."""
        self._stopping.set()
        self._bell.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        self._bell.wait()
        while not self._stopping.is_set():
            self._bell.clear()
            if self._outdated.is_set():
                self._outdated.clear()
                self._leave()
            try:
                self._watch(self._connected(), self._views)
            except Exception as error:  # not even a bug may end the watch
                if not isinstance(error, RefresherError | psycopg.Error):
                    _LOGGER.warning("the watch failed", exc_info=error)
                # That a database can't be worked with its loop says.
                self._leave()
            self._bell.wait(_TICK_SECONDS)
        self._leave()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self._endpoint, application="refresher watch")
            require_current(self._connection)
        return self._connection

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _watch(self, connection: Connection, views: Mapping[str, View]) -> None:
        some = self._next_in_turn(views)
        self._see_outside(connection, some)
        if time.monotonic() < self._not_before:
            return
        if look_overdue(connection, every=self._every):
            some = views
        if self._wanted.is_set() or look_due(connection, some, every=self._every):
            self._wanted.clear()
            try:
                self._look(connection, views)
            except Exception:  # whatever it is, somebody still wants a look
                self._wanted.set()
                raise

    def _next_in_turn(self, views: Mapping[str, View]) -> Mapping[str, View]:
        if views is not self._taking_turns:
            self._turns.follow(views)
            self._taking_turns = views
        return {name: views[name] for name in self._turns.next()}

    def _see_outside(self, connection: Connection, views: Mapping[str, View]) -> None:
        self._seen_at = time.monotonic()
        refreshed = {name: view for name, view in views.items() if view.refreshed}
        for name in see_refreshed_outside(connection, refreshed):
            self._emit(RefreshedOutside(database=self._alias, view=name))

    def _look(self, connection: Connection, views: Mapping[str, View]) -> None:
        began, rested = time.monotonic(), 0.0

        def rest(worked: float) -> None:
            nonlocal rested
            since = time.monotonic()
            times = _REST_BESIDE_REFRESHES if self._busy() else _REST
            if self._stopping.wait(worked * times) or self._wanted.is_set():
                raise _Overtaken
            if time.monotonic() >= self._seen_at + _TICK_SECONDS:
                self._see_outside(connection, self._next_in_turn(views))
            rested += time.monotonic() - since

        try:
            found = look_for_drift(connection, views, rest=rest)
        except _Overtaken:
            return
        except psycopg.errors.LockNotAvailable:
            self._wanted.set()
            self._not_before = time.monotonic() + _AGAIN_SECONDS
            return
        except (RefresherError, psycopg.Error) as error:
            if isinstance(error, psycopg.Error) and breaks_connection(error):
                raise
            self._tell_problem(connection, views, error)
            return
        took = timedelta(seconds=time.monotonic() - began - rested)
        self._every = max(_LOOK_EVERY, took / _LOOK_SHARE)
        # Asked after the look: who applies a newer configuration has said so before.
        left = self._left(connection)
        views = {name: view for name, view in views.items() if name not in left}
        own = [drift for drift in found if drift.view in views]
        appeared, gone = record_drift(connection, views, _folded(own))
        for drift in appeared:
            self._emit(
                DriftFound(
                    database=self._alias,
                    view=drift.view,
                    aspect=drift.aspect,
                    message=drift.message,
                )
            )
        for drift in gone:
            self._emit(DriftGone(database=self._alias, view=drift.view, aspect=drift.aspect))

    def _tell_problem(
        self, connection: Connection, views: Mapping[str, View], error: Exception
    ) -> None:
        problem = str(error) if isinstance(error, RefresherError) else describe(error)
        if record_problem(connection, views, problem):
            self._emit(DriftUnknown(database=self._alias, problem=problem))


def _folded(found: Iterable[Drift]) -> list[DriftRecord]:
    """One record an aspect of a view, with all that was found in it."""
    messages: dict[tuple[str, str], list[str]] = {}
    for drift in found:
        messages.setdefault((drift.view, drift.aspect.value), []).append(drift.message)
    return [
        DriftRecord(view=view, aspect=aspect, message="; ".join(texts))
        for (view, aspect), texts in messages.items()
    ]
