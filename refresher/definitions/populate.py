"""The first fill of a view: a refresh like any other, seen through to its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from refresher.catalog.introspection import read_graph
from refresher.config.model import Database, View
from refresher.durations import format_duration
from refresher.errors import FailureReason, RefreshError
from refresher.events import Listener
from refresher.refresh.discharge import Discharge
from refresher.refresh.session import Session
from refresher.refresh.task import Task
from refresher.runs import Strategy, Trigger
from refresher.store.registry import register
from refresher.store.state import read_clock, read_states


@dataclass(frozen=True, slots=True, kw_only=True)
class Populator:
    """Fills views of one database for the first time."""

    session: Session
    database: Database
    views: Mapping[str, View]
    emit: Listener
    began: Callable[[Discharge], None]
    """Told of each piece of work before it starts, so that somebody can cancel it."""

    def populate(self, view: View) -> list[str]:
        """Fill a view if it is empty; returns what was done, in words.

        Contents that others left are not touched: the schedule sees to them.

        Raises:
            RefreshError: it failed; the run is recorded.
            UnreachableError: the database can't be reached.
            psycopg.Error: it failed before anything was recorded.
        """
        connection = self.session.connection()
        graph = read_graph(connection, self.views)
        register(connection, self.views, graph, max_parallel=self.database.max_parallel)
        if read_states(connection, {view.name: view})[view.name].populated:
            return []
        now = read_clock(connection)
        task = Task(
            view=view,
            upstreams=graph.refreshed_upstreams(view.name),
            trigger=Trigger.POPULATE,
            due_at=now,
            ready_at=now,
            attempt=1,
            strategy=Strategy.FULL,
            max_parallel=self.database.max_parallel,
            misfires=lambda _previous, _as_of: 0,
        )
        discharge = Discharge(self.session, task, self.emit)
        self.began(discharge)
        ended = discharge.run()
        if ended is None:
            return []
        run = ended.run
        if not run.succeeded:
            message = f"can't be populated: {run.error or run.outcome}"
            raise RefreshError(message, reason=run.failure or FailureReason.OTHER)
        took = format_duration(timedelta(seconds=run.duration_seconds or 0))
        rows = run.rows or 0
        return [f"populated: {rows:,} {'row' if rows == 1 else 'rows'} in {took}"]
