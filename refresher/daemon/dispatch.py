"""From decisions to tasks: who is handed to the workers, who is woken when, who can't be helped."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import assert_never

import psycopg

from refresher.catalog.model import RELATION_KINDS
from refresher.config.model import Database, View
from refresher.errors import RefresherError
from refresher.events import Listener, ViewDegraded
from refresher.graph import Graph
from refresher.observe.vitals import DatabaseVitals
from refresher.postgres.failures import describe
from refresher.refresh.task import Ended, NotBegun, Obstacle, Result, Task, Unrecorded
from refresher.runs import Trigger
from refresher.schedule.ahead import Ahead
from refresher.schedule.decision import Decision, Due, Idle, Waiting
from refresher.schedule.due import misfires
from refresher.schedule.line import Line
from refresher.schedule.urgency import turn
from refresher.schedule.wakeups import Wakeups
from refresher.store.state import ViewState

_HOLD = timedelta(milliseconds=250)
"""How soon a view is looked at again that found its fence or every slot taken."""


@dataclass(slots=True)
class Dispatcher:
    """One database's. `look` is called by its loop, `report` by its workers."""

    database: Database
    vitals: DatabaseVitals
    wakeups: Wakeups
    submit: Callable[[Task], None]
    wake: Callable[[Iterable[str]], None]
    emit: Listener
    _submitted: dict[str, str] = field(default_factory=dict)
    """The views that workers have, each with the one whose task it is: of a group all have one."""
    _line: Line = field(default_factory=Line)
    """Those that are due and have not begun."""
    _since: dict[str, datetime] = field(default_factory=dict)
    """When those could have begun: the first time that was said while they waited."""
    _held_until: dict[str, float] = field(default_factory=dict)
    _full_until: float = 0.0
    """Every slot was taken, by other processes too."""
    _ahead: Ahead = field(init=False)
    _degraded: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._ahead = Ahead(self.database.max_parallel)

    def look(
        self,
        decisions: Mapping[str, Decision],
        *,
        views: Mapping[str, View],
        states: Mapping[str, ViewState],
        graph: Graph,
        limits: Mapping[str, timedelta | None],
        groups: Mapping[str, Collection[View]],
        clock_offset: timedelta,
    ) -> None:
        """Carry out decisions: the most urgent first, as far as workers are free.

        `groups` are the views that are refreshed together, `limits` is the staleness that views
        should stay below, `clock_offset` the database's clock less ours, by which wake-ups are set.
        """
        self.vitals.workers_limit = self.database.max_parallel
        due: dict[str, Due] = {}
        for name, decision in decisions.items():
            if not self._usable(views[name], states[name]):
                self._leave_line(name)
                continue
            match decision:
                case Due():
                    due[name] = decision
                    self._stand_in_line(name, decision, states[name], limits.get(name))
                case Waiting(until=instant) | Idle(next_due_at=instant):
                    self._leave_line(name)
                    self._wake_at(name, instant and instant - clock_offset)
                case other:
                    assert_never(other)
        for name in self.first_in_line():
            if name in due:
                group = groups.get(views[name].group or "", ())
                others = [view for view in group if view.name != name]
                self._start(views[name], due[name], states[name], graph, others)
        with self._lock:
            self._show()

    def first_in_line(self) -> list[str]:
        """Who would begin now, most urgent first: to be decided about anew before."""
        now = time.monotonic()
        with self._lock:
            free = self.database.max_parallel + self._ahead.number - self._tasks
            if now < self._full_until:
                return []
            return self._line.first(free, lambda name: self._held_until.get(name, 0.0) <= now)

    def wanted(self, view: str) -> bool:
        """Whether a view waits for a free worker, or a worker has it."""
        with self._lock:
            return view in self._line or view in self._submitted

    def forget(self, names: Iterable[str]) -> None:
        """These views are not configured any more."""
        with self._lock:
            for name in names:
                self._line.leave(name)
                self._since.pop(name, None)
                self._held_until.pop(name, None)
                self._degraded.pop(name, None)
                self.wakeups.never(name)

    def report(self, task: Task, result: Result | BaseException, downstream: Iterable[str]) -> None:
        """A worker is done with a task; called in its thread."""
        names = {task.view.name, *(other.view.name for other in task.others)}
        woken: set[str] = set()
        try:
            for name in names:
                woken |= self._conclude(name, result, downstream)
        finally:
            with self._lock:
                for name in names:
                    self._submitted.pop(name, None)
                self._show()
        # Even if that is nobody: whoever is first in line is looked at each time.
        self.wake(woken)

    def _conclude(
        self, name: str, result: Result | BaseException, downstream: Iterable[str]
    ) -> set[str]:
        """What a result means for this view and others; returns who is to be looked at now."""
        match result:
            case Ended() | NotBegun(Obstacle.DISCHARGED | Obstacle.EARLY):
                self._since.pop(name, None)
                if isinstance(result, Ended) and result.run.succeeded:
                    self._ahead.succeeded(result.run.duration_seconds or 0.0)
                return {name, *downstream}
            case NotBegun(Obstacle.SLOT):
                self._ahead.refused()
                self._full_until = time.monotonic() + _HOLD.total_seconds()
                self._hold(name)
            case NotBegun() | Unrecorded() | psycopg.Error() | RefresherError():
                self._hold(name)
            case BaseException() as bug:
                self._hold(name)
                self._degrade(name, f"refresher itself failed: {describe(bug)}")
            case other:
                assert_never(other)
        return set()

    def _stand_in_line(
        self, name: str, due: Due, state: ViewState, limit: timedelta | None
    ) -> None:
        with self._lock:
            if name in self._submitted:
                return
            # A newer instant takes nothing from the waiting for an older one.
            since = self._since[name] = min(self._since.get(name, due.ready_at), due.ready_at)
            place = turn(name, due, since=since, data_as_of=state.data_as_of, limit=limit)
            self._line.stand(place)

    def _leave_line(self, name: str) -> None:
        with self._lock:
            self._line.leave(name)
            if name not in self._submitted:
                self._since.pop(name, None)

    def _start(
        self, view: View, due: Due, state: ViewState, graph: Graph, others: Collection[View]
    ) -> None:
        with self._lock:
            if not self._line.leave(view.name):
                return
            names = {view.name, *(other.name for other in others)}
            for name in names:
                self._line.leave(name)
            self._submitted |= dict.fromkeys(names, view.name)
            since = self._since.get(view.name, due.ready_at)
        task = Task(
            view=view,
            upstreams=graph.refreshed_upstreams(view.name),
            trigger=due.trigger,
            due_at=due.due_at,
            attempt=due.attempt,
            ready_at=since,
            strategy=view.strategy,
            max_parallel=self.database.max_parallel,
            most_lag=self.database.throttle.replication_lag,
            misfires=partial(misfires, view),
        )
        manual = due.trigger is Trigger.MANUAL and state.requested_strategy is not None
        strategy = (manual and state.requested_strategy) or view.strategy
        together = tuple(
            replace(
                task,
                view=other,
                upstreams=graph.refreshed_upstreams(other.name),
                strategy=other.strategy,
                misfires=partial(misfires, other),
            )
            for other in others
        )
        self.submit(replace(task, strategy=strategy, others=together))

    def _hold(self, name: str) -> None:
        """Leave a view alone for a moment: trying again at once would only find the same."""
        with self._lock:
            self._held_until[name] = time.monotonic() + _HOLD.total_seconds()
        self.wakeups.at(name, datetime.now(UTC) + _HOLD)

    def _wake_at(self, name: str, instant: datetime | None) -> None:
        if instant is None:
            self.wakeups.never(name)
            return
        self.wakeups.at(name, instant)

    def _usable(self, view: View, state: ViewState) -> bool:
        """Whether there is something to refresh; said once when there is nothing."""
        if not view.refreshed:
            return False
        if state.relation is None:
            self._degrade(view.name, f"{view.relation} does not exist; run `refresher apply`")
            return False
        if state.relation_kind != RELATION_KINDS[view.kind]:
            kind = view.kind.value.replace("_", " ")
            self._degrade(view.name, f"{view.relation} is not a {kind}")
            return False
        self._degraded.pop(view.name, None)
        return True

    def _degrade(self, name: str, problem: str) -> None:
        if self._degraded.get(name) != problem:
            self._degraded[name] = problem
            self.emit(ViewDegraded(database=self.database.alias, view=name, problem=problem))

    @property
    def _tasks(self) -> int:
        """How many workers it takes: a group takes one."""
        return len(set(self._submitted.values()))

    def _show(self) -> None:
        busy = min(self._tasks, self.database.max_parallel)
        self.vitals.queue_length = len(self._line) + self._tasks - busy
        self.vitals.workers_busy = busy
