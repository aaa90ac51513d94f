"""What a daemon does beside refreshing: say it lives, bury the dead, know the graph.

While it says that it lives it hears who else does, and by which configuration (`store.standing`).
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta

from refresher.catalog.introspection import read_graph
from refresher.config.digest import digest
from refresher.config.model import Database, View
from refresher.daemon.purging import Purging
from refresher.events import ConfigCurrent, ConfigOutdated, Listener, RunFinished
from refresher.freshness import effective_max_staleness
from refresher.graph import Graph
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.schedule.aims import Aim
from refresher.schedule.urgency import limits
from refresher.schedule.usual import read_aims
from refresher.store import presence
from refresher.store.registry import forget_abandoned, register
from refresher.store.standing import Configured, newer_than
from refresher.store.touched import read_outline

_GRAPH_SECONDS = 30.0
"""How often it is asked whether the graph has changed: CREATE OR REPLACE VIEW tells nobody."""
_FORGET_SECONDS = 600.0

_QUERIES = load_queries("refresher.store", "store.sql")


class Chores:
    """The chores of one database's loop, done on its connection, in its thread."""

    def __init__(
        self,
        database: Database,
        *,
        worker: str,
        emit: Listener,
        in_flight: Callable[[], Collection[int]],
    ) -> None:
        self.graph = Graph({}, frozenset())
        self.aims: Mapping[str, Aim] = {}
        self.limits: Mapping[str, timedelta | None] = {}
        """The staleness each view should stay below."""
        self.left: frozenset[str] = frozenset()
        """The views that are left to daemons with a newer configuration."""
        self.configuration = ""
        """The digest by which this daemon was made known."""
        self._database = database
        self._worker = worker
        self._emit = emit
        self._in_flight = in_flight
        self._told: Mapping[str, View] | None = None
        """The views that this daemon is known to know."""
        self._configured_at: datetime | None = None
        self._newer: frozenset[Configured] | None = None
        """The daemons with a newer configuration; None if that is to be found out."""
        self._retired = False
        self._beat_at: float | None = None
        self._patience = presence.DEAD_AFTER
        self._patient_until = 0.0
        self._read_of: Mapping[str, View] | None = None
        """The views that the graph was read of."""
        self._outline: tuple[int | None, ...] = ()
        """What the database was like then."""
        self._max_staleness: Mapping[str, timedelta | None] = {}
        self._graph_at = 0.0
        self._purging = Purging()
        self._forget_at = 0.0

    def greet(self, connection: Connection, views: Mapping[str, View]) -> None:
        """Make this daemon known on a new connection, and hear who else lives.

        Where the database was away from everybody, those who were heard of as late as this one are
        given the time to come back before they count as dead.
        """
        now = time.monotonic()
        if self._beat_at is not None and now >= self._patient_until:
            away = timedelta(seconds=now - self._beat_at)
            self._patience = away + 2 * presence.DEAD_AFTER
            self._patient_until = now + presence.DEAD_AFTER.total_seconds()
        self._told = self._read_of = None
        self.beat(connection, views)

    def begin(self, connection: Connection, views: Mapping[str, View]) -> None:
        """Make its views known, and know the graph."""
        self.beat(connection, views)
        self._read_graph(connection, views)
        forget_abandoned(connection)

    def beat(self, connection: Connection, views: Mapping[str, View]) -> None:
        """Say that this daemon lives, and find out whose configuration is in force."""
        patient = time.monotonic() < self._patient_until
        dead_after = self._patience if patient else presence.DEAD_AFTER
        living = None
        if self._told is views:
            living = presence.go_on(connection, worker=self._worker, dead_after=dead_after)
        if living is None or not (self._retired or self._is_among(living)):
            self._introduce(connection, views)
            living = presence.configured(connection, dead_after=dead_after)
        self._beat_at = time.monotonic()
        if self._retired:
            return
        newer = newer_than(self.configuration, living)
        if newer != self._newer:
            has_newer = presence.views_of(connection, {daemon.worker for daemon in newer})
            self._newer = newer
            self._leave_to_others(has_newer & views.keys(), newer)

    def retire(self, connection: Connection, views: Mapping[str, View]) -> None:
        """Leave it to others, even with older configurations, to start refreshes of these views.

        This daemon starts nothing any more; it lives as long as it is at work.
        """
        if not self._retired:
            self._retired = True
            self._introduce(connection, views)

    def refresh_graph(self) -> None:
        """Read the graph again the next time round: views have changed."""
        self._graph_at = 0.0

    def do(self, connection: Connection, views: Mapping[str, View]) -> None:
        """What is to be done every two seconds, and what now and then."""
        self.beat(connection, views)
        if time.monotonic() >= self._graph_at:
            self._read_graph(connection, views)
        self._purging.go_on(connection)
        if time.monotonic() >= self._forget_at:
            connection.execute(_QUERIES["forget_requests"])
            connection.execute(_QUERIES["bury_workers"])
            forget_abandoned(connection)
            self._forget_at = time.monotonic() + _FORGET_SECONDS

    def bury(self, connection: Connection) -> None:
        """Close what the dead left open, of every view that nobody refreshes at this moment.

        To be called whenever a refresh may have ended: a view that is refreshed all the time is
        let go of for a moment only.
        """
        closed = presence.close_lost_runs(
            connection, worker=self._worker, in_flight=self._in_flight()
        )
        for run in closed:
            self._emit(RunFinished(database=self._database.alias, run=run))

    def leave(self, connection: Connection) -> None:
        """Say that this daemon ends."""
        presence.leave(connection, worker=self._worker)

    def _introduce(self, connection: Connection, views: Mapping[str, View]) -> None:
        configuration = digest(self._database, views)
        if configuration != self.configuration:
            self.configuration, self._configured_at = configuration, None
        self._configured_at = presence.beat(
            connection,
            worker=self._worker,
            kind="daemon",
            views=views,
            configuration=None if self._retired else configuration,
            configured_at=self._configured_at,
        )
        self._told, self._newer = views, None

    def _is_among(self, living: Iterable[Configured]) -> bool:
        """Whether it is said of this daemon by which configuration it works.

        Another loop of this process may have overwritten it, where two aliases are one database.
        """
        return any(
            (daemon.worker, daemon.configuration) == (self._worker, self.configuration)
            for daemon in living
        )

    def _leave_to_others(self, left: frozenset[str], newer: frozenset[Configured]) -> None:
        if left == self.left:
            return
        self.left = left
        self._read_of = None  # what is nobody else's any more is to be registered again
        self.refresh_graph()
        alias = self._database.alias
        if not left:
            self._emit(ConfigCurrent(database=alias))
            return
        newest = max(newer, key=lambda daemon: daemon.configured_at)
        self._emit(ConfigOutdated(database=alias, views=len(left), newer=newest.worker))

    def _read_graph(self, connection: Connection, views: Mapping[str, View]) -> None:
        outline = read_outline(connection)
        if views is not self._read_of or outline != self._outline:
            self.graph = read_graph(connection, views)
            register(
                connection,
                views,
                self.graph,
                max_parallel=self._database.max_parallel,
                left=views.keys() if self._retired else self.left,
            )
            self._max_staleness = effective_max_staleness(views, self.graph)
            self._read_of, self._outline = views, outline
        self.aims = read_aims(connection, views, self.graph)
        self.limits = limits(self._max_staleness, self.aims)
        self._graph_at = time.monotonic() + _GRAPH_SECONDS
