"""What a daemon does beside refreshing: say it lives, bury the dead, know the graph."""

import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from refresher.catalog.introspection import read_graph
from refresher.config.model import Database, View
from refresher.events import Listener, RunFinished
from refresher.freshness import effective_max_staleness
from refresher.graph import Graph
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.schedule.aims import Aim
from refresher.schedule.urgency import limits
from refresher.schedule.usual import read_aims
from refresher.store import presence
from refresher.store.registry import forget_abandoned, register
from refresher.store.touched import read_outline

_GRAPH_SECONDS = 30.0
"""How often it is asked whether the graph has changed: CREATE OR REPLACE VIEW tells nobody."""
_PURGE_SECONDS = 600.0

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
        self._database = database
        self._worker = worker
        self._emit = emit
        self._in_flight = in_flight
        self._told: Mapping[str, View] | None = None
        """The views that this daemon is known to know."""
        self._read_of: Mapping[str, View] | None = None
        """The views that the graph was read of."""
        self._outline: tuple[int | None, ...] = ()
        """What the database was like then."""
        self._max_staleness: Mapping[str, timedelta | None] = {}
        self._graph_at = 0.0
        self._purge_at = 0.0

    def begin(self, connection: Connection, views: Mapping[str, View]) -> None:
        """Make this daemon and its views known, and know the graph."""
        self._told = self._read_of = None
        self.beat(connection, views)
        self._read_graph(connection, views)
        forget_abandoned(connection)

    def beat(self, connection: Connection, views: Mapping[str, View]) -> None:
        """Say that this daemon lives."""
        if self._told is views and presence.go_on(connection, worker=self._worker):
            return
        presence.beat(connection, worker=self._worker, kind="daemon", views=views)
        self._told = views

    def refresh_graph(self) -> None:
        """Read the graph again the next time round: views have changed."""
        self._graph_at = 0.0

    def do(self, connection: Connection, views: Mapping[str, View]) -> None:
        """What is to be done every two seconds, and what now and then."""
        self.beat(connection, views)
        if time.monotonic() >= self._graph_at:
            self._read_graph(connection, views)
        if time.monotonic() >= self._purge_at:
            connection.execute(_QUERIES["purge_runs"])
            connection.execute(_QUERIES["bury_workers"])
            forget_abandoned(connection)
            self._purge_at = time.monotonic() + _PURGE_SECONDS

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

    def _read_graph(self, connection: Connection, views: Mapping[str, View]) -> None:
        outline = read_outline(connection)
        if views is not self._read_of or outline != self._outline:
            self.graph = read_graph(connection, views)
            register(connection, views, self.graph, max_parallel=self._database.max_parallel)
            self._max_staleness = effective_max_staleness(views, self.graph)
            self._read_of, self._outline = views, outline
        self.aims = read_aims(connection, views, self.graph)
        self.limits = limits(self._max_staleness, self.aims)
        self._graph_at = time.monotonic() + _GRAPH_SECONDS
