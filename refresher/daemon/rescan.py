"""Which views the loop looks at every two seconds, of however many there are."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime

from refresher.config.model import View
from refresher.graph import Graph
from refresher.postgres.sessions import Connection
from refresher.schedule.aims import Aim
from refresher.schedule.attention import Attention, again_at
from refresher.schedule.decision import Decision
from refresher.store.state import ViewState
from refresher.store.touched import Touched


class Rescan:
    """One connection's: what was missed while there was none shows in the first look, at all."""

    def __init__(self, *, worker: str) -> None:
        self._touched = Touched(except_worker=worker)
        self._attention = Attention()
        self._views: Mapping[str, View] = {}
        self._graph = Graph({}, frozenset())
        self._aimed: AbstractSet[str] = frozenset()

    def next(
        self,
        connection: Connection,
        views: Mapping[str, View],
        graph: Graph,
        aims: Mapping[str, Aim],
    ) -> set[str]:
        """The views to look at now.

        Raises:
            psycopg.Error: the database went away.
        """
        if views is not self._views:
            self._attention.follow([name for name, view in views.items() if view.refreshed])
            self._views = views
        touch = self._touched.ask(connection, views)
        names = touch.views.union(*(graph.all_downstreams(name) for name in touch.views))
        if graph != self._graph:  # whom a view waits for may have changed
            names |= views.keys()
            self._graph = graph
        if aims.keys() != self._aimed:  # the hours of somebody's target have begun, or are over
            names |= aims.keys() ^ self._aimed
            self._aimed = frozenset(aims)
        return {*names, *self._attention.next(touch.now)} & views.keys()

    def looked(
        self, decisions: Mapping[str, Decision], states: Mapping[str, ViewState], now: datetime
    ) -> None:
        """This was decided at `now`; it says until when it holds."""
        self._attention.looked(
            {
                name: again_at(decision, now, paused_until=states[name].paused_until)
                for name, decision in decisions.items()
            }
        )
