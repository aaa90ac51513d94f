"""Watching over one database: who is due, who lives, and what the dead left behind.

One thread a database. It sleeps until it is woken for some views (a due instant, a finished run) or
until two seconds have passed, when it asks which views something has happened to. It reads their
state, decides by the pure rules of `schedule.due`, and hands tasks to the workers. Everything it
decides by it reads anew, so a lost wake-up costs two seconds, and a lost database nothing but
waiting for it.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import psycopg

from refresher.config.model import Database, View
from refresher.daemon.applying import Applying, ApplyingCancelled
from refresher.daemon.chores import Chores
from refresher.daemon.dispatch import Dispatcher
from refresher.daemon.pulse import Pulse
from refresher.daemon.rescan import Rescan
from refresher.daemon.sharing import Sharing, without
from refresher.daemon.throttling import Throttling
from refresher.daemon.workers import Workers
from refresher.errors import RefresherError
from refresher.events import ApplyRefused, Listener
from refresher.observe.vitals import Vitals
from refresher.postgres.failures import describe
from refresher.postgres.sessions import Connection, Endpoint, connect
from refresher.refresh.task import Result, Task
from refresher.schedule.facts import decide_all
from refresher.schedule.throttle import delayed
from refresher.schedule.wakeups import Wakeups
from refresher.store.registry import left_to_daemons
from refresher.store.state import read_clock, read_states

RESCAN_SECONDS = 2.0
_STOP_SECONDS = 3.0
"""How long a thread may take to notice that it is to end: more only where a database hangs."""
_REST_SHARE = 3.0
_LONGEST_REST_SECONDS = 0.05
"""A look that took a while is followed by a rest of three times as long, but not longer than this:
what wakes the loop meanwhile is looked at together."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0

Prepare = Callable[[Connection, Endpoint, Mapping[str, View], str], Applying | None]
"""Done on every new connection before anything else; returns what is to be applied, if asked to.

What is applied is done in the name that comes last: the one by which this loop is known to live."""


class DatabaseLoop:
    """The loop over one database."""

    def __init__(
        self,
        database: Database,
        endpoint: Endpoint,
        views: Mapping[str, View],
        *,
        worker: str,
        emit: Listener,
        vitals: Vitals,
        prepare: Prepare,
    ) -> None:
        self.database = database
        self.endpoint = endpoint
        self.pulse = Pulse(database.alias, emit)
        self._vitals = vitals
        self._clock_offset = timedelta()
        self._views = dict(views)
        self._sharing = Sharing()
        self._emit = emit
        self._prepare = prepare
        self._worker = worker
        self._rescan = Rescan(worker=worker)
        self._applying: Applying | None = None
        self._workers = Workers(
            endpoint, worker=worker, size=database.max_parallel, emit=emit, report=self._report
        )
        self._chores = Chores(database, worker=worker, emit=emit, in_flight=self._workers.in_flight)
        self._wakeups = Wakeups(lambda view: self.wake([view]))
        self._throttling = Throttling(database, vitals=vitals.of(database.alias), emit=emit)
        self._dispatcher = Dispatcher(
            database=database,
            vitals=vitals.of(database.alias),
            wakeups=self._wakeups,
            submit=self._workers.submit,
            wake=self.wake,
            emit=emit,
        )
        self._lock = threading.Lock()
        self._woken: set[str] = set()
        self._bell = threading.Event()
        self._draining = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"{database.alias} loop", daemon=True
        )

    def start(self) -> None:
        """Begin; the database need not be there yet."""
        self._wakeups.start()
        self._workers.start()
        self._thread.start()

    def wake(self, views: Iterable[str]) -> None:
        """Look at these views now."""
        with self._lock:
            self._woken.update(views)
        self._bell.set()

    def replace_views(self, views: Mapping[str, View]) -> None:
        """Put a new configuration's views in force."""
        self._dispatcher.forget(self._views.keys() - views.keys())
        self._views = dict(views)
        self._chores.refresh_graph()
        self.wake(views)

    def own_views(self) -> Mapping[str, View]:
        """The views that are not left to daemons with a newer configuration."""
        return without(self._views, self._chores.left)

    def ask_what_is_left(self, connection: Connection) -> frozenset[str]:
        """The views that are left to such daemons at this moment, as the database has it.

        What was reloaded a moment ago is not known there yet, and left to nobody for that.
        """
        return left_to_daemons(connection, self._chores.configuration, self._views)

    @property
    def busy(self) -> int:
        """How many refreshes are at work; an apply is one more."""
        return self._workers.busy + (self._applying is not None)

    def wanted(self, view: str) -> bool:
        """Whether a view is due or being refreshed here."""
        return self._dispatcher.wanted(view)

    @property
    def alive(self) -> bool:
        """Whether the loop goes round, as far as the database lets it, and its helpers live."""
        threads = self._thread.is_alive() and self._workers.alive and self._wakeups.alive
        return threads and not self.pulse.silent

    def drain(self) -> None:
        """Start nothing more; what is at work goes on, and so do the signs of life."""
        self._draining.set()
        self._workers.refuse()
        self._bell.set()

    def cancel(self) -> int:
        """Cancel what is at work, on the server; to be repeated while `busy`. Returns how many."""
        applying = self._applying
        if applying is not None:
            applying.cancel()
        return self._workers.cancel() + (applying is not None)

    def stop(self) -> None:
        """End the loop and the workers; what is at work is waited for, a hung database is not."""
        self.drain()
        self._workers.stop()
        self._stopping.set()
        self._bell.set()
        self._thread.join(_STOP_SECONDS)
        self._wakeups.stop()

    def _report(self, task: Task, result: Result | BaseException) -> None:
        downstream = self._chores.graph.all_downstreams(task.view.name)
        self._dispatcher.report(task, result, downstream)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                with connect(self.endpoint, application="refresher loop") as connection:
                    self.pulse.follow(connection)
                    applying = self._prepare(connection, self.endpoint, self._views, self._worker)
                    self._chores.greet(connection, self._views)
                    if applying is not None and not self._draining.is_set():
                        self._apply(connection, applying)
                    self._chores.begin(connection, self._views)
                    self._rescan = Rescan(worker=self._worker)
                    self.pulse.up()
                    pause = _FIRST_PAUSE_SECONDS
                    self._watch(connection)
                    self._chores.leave(connection)
            except ApplyingCancelled:
                self._stopping.wait()
            except (RefresherError, psycopg.Error) as error:
                self._wait_for_database(describe(error), pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            except Exception as bug:  # noqa: BLE001 - not even a bug may end the watch for good
                self._wait_for_database(f"refresher itself failed: {bug!r}", pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _apply(self, connection: Connection, applying: Applying) -> None:
        """Have definitions applied, and go on showing that this process lives.

        Not over a newer configuration's: after a reconnect this one's may be outdated.
        """
        if self._chores.left:
            problem = (
                f"{len(self._chores.left)} views are in the newer configuration of another daemon,"
                " whose definitions stand; restart this daemon with that configuration"
            )
            self._emit(ApplyRefused(database=self.database.alias, problem=problem))
            return
        self._applying = applying
        try:
            applying.start()
            while not applying.ended(RESCAN_SECONDS):
                self.pulse.beat()
                with contextlib.suppress(psycopg.Error):  # an apply finds out itself
                    self._chores.beat(connection, self._views)
        finally:
            self._applying = None

    def _wait_for_database(self, error: str, pause: float) -> None:
        if not self._stopping.is_set():
            self.pulse.down(error, retry_in=timedelta(seconds=pause))
            self._stopping.wait(pause)

    def _watch(self, connection: Connection) -> None:
        rescan_at = time.monotonic()
        rest = 0.0
        while not self._stopping.is_set():
            self._stopping.wait(rest)
            self._bell.wait(max(0.0, rescan_at - time.monotonic()))
            began = time.monotonic()
            self._bell.clear()
            with self._lock:
                woken, self._woken = self._woken, set()
            views = self._views
            if self._draining.is_set():
                # Before it hears of the one that follows it, and takes that for another daemon.
                self._chores.retire(connection, views)
            self._chores.bury(connection)
            if time.monotonic() >= rescan_at:
                self._chores.do(connection, views)
                if not self._draining.is_set() and self._throttling.look(connection):
                    woken |= views.keys()  # all that were held up, the most urgent first
                changed_hands = self._sharing.follow(views, self._chores.left)
                self._dispatcher.forget(changed_hands)
                woken |= changed_hands | self._rescan.next(
                    connection, self._sharing.own, self._chores.graph, self._chores.aims
                )
                rescan_at = time.monotonic() + RESCAN_SECONDS
            if not self._draining.is_set():
                self._scan(connection, views, (woken & views.keys()) - self._sharing.left)
            self.pulse.beat()
            self._vitals.tick()
            rest = min(_REST_SHARE * (time.monotonic() - began), _LONGEST_REST_SECONDS)

    def _scan(self, connection: Connection, views: Mapping[str, View], names: set[str]) -> None:
        """Look at some views and who is first in line, and have done what is due."""
        graph = self._chores.graph
        names = names.union(self._first_in_line(views))
        concerned = names.union(*(graph.all_upstreams(name) for name in names)) & views.keys()
        read = {name: views[name] for name in concerned}
        states = read_states(connection, read)
        now = self._read_clock(connection)
        decided = decide_all(read, states, graph, self._chores.aims, now)
        decisions = {name: decided[name] for name in names & decided.keys()}
        self._rescan.looked(decisions, states, now)
        throttled = self._throttling.reason
        self._dispatcher.look(
            {
                name: delayed(each, populated=states[name].populated, reason=throttled)
                for name, each in decisions.items()
            },
            views=read,
            states=states,
            graph=graph,
            limits=self._chores.limits,
            groups=self._sharing.groups,
            clock_offset=self._clock_offset,
        )

    def _first_in_line(self, views: Mapping[str, View]) -> set[str]:
        first = set(self._dispatcher.first_in_line())
        known = first & views.keys()
        self._dispatcher.forget(first - known)  # a reload took them away meanwhile
        return known

    def _read_clock(self, connection: Connection) -> datetime:
        before = time.time()
        now = read_clock(connection)
        middle = (before + time.time()) / 2
        self._clock_offset = timedelta(seconds=now.timestamp() - middle)
        return now
