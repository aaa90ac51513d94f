"""Refreshes that an apply needs, each seen through to its end."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from refresher.config.model import Database, StrategyChoice, View
from refresher.durations import format_duration
from refresher.errors import FailureReason, RefreshError
from refresher.events import Listener
from refresher.graph import Graph
from refresher.refresh.discharge import Discharge
from refresher.refresh.session import Session
from refresher.refresh.task import Task
from refresher.runs import Strategy, Trigger
from refresher.store.state import read_clock, read_states


@dataclass(frozen=True, slots=True, kw_only=True)
class Populator:
    """Refreshes views of one database."""

    session: Session
    database: Database
    views: Mapping[str, View]
    emit: Listener
    began: Callable[[Discharge], None]
    """Told of each piece of work before it starts, so that somebody can cancel it."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set by whoever cancels what the session does: that is no failure then."""

    def populate(self, view: View, graph: Graph) -> str | None:
        """Fill a view that the store knows if it is empty; returns what was done, in words.

        Contents that others left are not touched: the schedule sees to them.

        Raises:
            RefreshError: it failed; the run is recorded.
            UnreachableError: the database can't be reached.
            psycopg.Error: it failed before anything was recorded.
        """
        connection = self.session.connection()
        if read_states(connection, {view.name: view})[view.name].populated:
            return None
        return self._refresh(view, graph, Trigger.POPULATE, Strategy.FULL)

    def refresh(self, view: View, graph: Graph) -> str | None:
        """Refresh a view that the store knows; returns what was done, in words.

        Raises:
            RefreshError: it failed; the run is recorded.
            UnreachableError: the database can't be reached.
            psycopg.Error: it failed before anything was recorded.
        """
        return self._refresh(view, graph, Trigger.MANUAL, view.strategy)

    def _refresh(
        self, view: View, graph: Graph, trigger: Trigger, strategy: StrategyChoice
    ) -> str | None:
        now = read_clock(self.session.connection())
        task = Task(
            view=view,
            upstreams=graph.refreshed_upstreams(view.name),
            trigger=trigger,
            due_at=now,
            ready_at=now,
            attempt=1,
            strategy=strategy,
            max_parallel=self.database.max_parallel,
            most_lag=self.database.throttle.replication_lag,
            misfires=lambda _previous, _as_of: 0,
        )
        discharge = Discharge(self.session, task, self.emit)
        self.began(discharge)
        ended = discharge.run()
        if ended is None:
            return None
        run = ended.run
        if not run.succeeded:
            message = f"can't be filled: {run.error or run.outcome}"
            raise RefreshError(message, reason=run.failure or FailureReason.OTHER)
        took = format_duration(timedelta(seconds=run.duration_seconds or 0))
        rows = run.rows or 0
        return f"{rows:,} {'row' if rows == 1 else 'rows'} in {took}"
