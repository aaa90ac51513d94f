"""Keeping a database's snapshot up to date by reading only what something has happened to."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from refresher.catalog.introspection import read_graph
from refresher.config.model import Database, View
from refresher.graph import Graph
from refresher.observe.model import DatabaseSnapshot
from refresher.observe.part import Surroundings, read_part
from refresher.observe.snapshot import read_surroundings, read_unmanaged_views
from refresher.postgres.sessions import Connection
from refresher.schedule.attention import Attention
from refresher.store.touched import Touched, read_outline

_OUTLINE_SECONDS = 30.0
"""How often it is asked whether the graph has changed: CREATE OR REPLACE VIEW tells nobody."""
_LOOKS = 60
"""At a look every five seconds each view is read anew, and measured, within five minutes."""
_AT_ONCE = 500
"""How many views are read at a time; those that were touched first go first."""


@dataclass(slots=True)
class Follower:
    """One connection's: the first snapshot is read whole."""

    database: Database
    _touched: Touched = field(default_factory=lambda: Touched(beside_refreshes=True))
    _attention: Attention = field(default_factory=lambda: Attention(looks=_LOOKS))
    _around: Surroundings | None = None
    _outline: tuple[int | None, ...] = ()
    _outline_at: float = 0.0
    _unmanaged: int = 0
    _wanted: dict[str, None] = field(default_factory=dict)
    """The views to be read, in that order."""
    _snapshot: DatabaseSnapshot | None = None

    def read(self, connection: Connection, views: Mapping[str, View]) -> DatabaseSnapshot:
        """The snapshot of these views as of now, as far as they could be read anew.

        Raises:
            psycopg.Error: the database went away, or does not answer in time.
            PlanError: the views read each other.
        """
        began = time.monotonic()
        around = self._look_around(connection, views)
        touch = self._touched.ask(connection, views)
        self._want(touch.views, around.graph)
        self._wanted |= dict.fromkeys(self._attention.next(touch.now))
        known = self._snapshot.views if self._snapshot else {}
        names = list(islice(self._wanted, _AT_ONCE if known else None))
        part = read_part(connection, around, names)
        self._attention.looked(part.again)
        if part.measured:
            for name in names:
                del self._wanted[name]
        self._snapshot = DatabaseSnapshot(
            database=self.database.alias,
            read_at=part.clock.now,
            read_at_monotonic=part.clock.monotonic,
            clock_offset=part.clock.offset,
            read_seconds=time.monotonic() - began,
            views={**known, **part.views},
            replicas=part.replicas,
            unmanaged_views=self._unmanaged,
        )
        return self._snapshot

    def _want(self, names: Iterable[str], graph: Graph) -> None:
        """Have these read, and all that shows what they hold."""
        for name in names:
            for each in (name, *graph.all_downstreams(name)):
                if each in graph.reads:
                    self._wanted.setdefault(each)

    def _look_around(self, connection: Connection, views: Mapping[str, View]) -> Surroundings:
        before = self._around
        if before is not None and before.views is views and time.monotonic() < self._outline_at:
            return before
        outline = read_outline(connection)
        if before is None or before.views is not views:
            # Whatever is known is known of other views.
            self._snapshot, self._wanted = None, dict.fromkeys(views)
            self._attention.follow(views)
        if before is not None and before.views is views and outline == self._outline:
            graph = before.graph
        else:
            graph = read_graph(connection, views)
            self._unmanaged = read_unmanaged_views(connection, views)
            self._outline = outline
        around = read_surroundings(connection, self.database, views, graph)
        self._want(_changed(before, around), graph)
        self._around, self._outline_at = around, time.monotonic() + _OUTLINE_SECONDS
        return around


def _changed(before: Surroundings | None, after: Surroundings) -> Iterable[str]:
    """The views that have to be read anew because of what stands around them."""
    if before is None or before.graph != after.graph:
        return after.views
    return (name for name, aim in after.aims.items() if before.aims.get(name) != aim)
