"""Refreshing views by hand: each after those it reads, as many at once as its database allows.

A refresh in flight is joined, except one that began before a view above got new contents here, or,
where whole closures are refreshed, before it was asked for: its contents would be older than that.
"""

import queue
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from graphlib import TopologicalSorter

import psycopg

from refresher.config.groups import grouped
from refresher.config.model import StrategyChoice, View
from refresher.errors import RefresherError, UnreachableError
from refresher.graph import Graph
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.sessions import Endpoint
from refresher.refresh.discharge import Discharge, Discharged
from refresher.refresh.session import Session
from refresher.refresh.task import Task
from refresher.runs import Run, Trigger
from refresher.schedule.due import misfires
from refresher.store.state import read_clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How far from the views that were named the refreshing goes."""

    upstream: bool = False
    """Everything their contents come from, too."""
    downstream: bool = False
    """Everything that their contents reach, too."""

    @property
    def alone(self) -> bool:
        """Whether nothing but the named views is refreshed."""
        return not (self.upstream or self.downstream)


def reached(
    names: Collection[str], extent: Extent, views: Mapping[str, View], graph: Graph
) -> list[View]:
    """What is to be refreshed, each after those it reads, and once however many ways lead to it.

    A group is refreshed as a whole.

    Raises:
        PlanError: the views read each other.
    """
    found = set(names)
    for name in names:
        found |= graph.all_upstreams(name) if extent.upstream else set()
        found |= graph.all_downstreams(name) if extent.downstream else set()
    for group in grouped(views).values():
        members = {view.name for view in group}
        found |= members if members & found else set()
    return [views[name] for name in graph.order(found) if views[name].refreshed]


@dataclass(slots=True, kw_only=True)
class Job:
    """One view to refresh, and how it goes."""

    view: View
    upstreams: Mapping[str, tuple[str, ...]]
    """The nearest refreshed upstreams of it, and of the others of its group."""
    others: tuple[View, ...]
    """The others of its group, which are refreshed with it."""
    after: frozenset[str]
    """Everything above it and its group, whether it is refreshed here or not."""
    strategy: StrategyChoice
    usual_seconds: float | None
    """The median of its last successes."""
    discharge: Discharge | None = None
    began: float | None = None
    """By the monotonic clock; None while it waits for others."""
    ended: Discharged | None = None
    """None if it was cancelled before anything began, or failed before anything was recorded."""
    error: str | None = None
    exit_code: int = 0
    bug: BaseException | None = None
    """What refresher itself did wrong."""
    over: bool = False
    """Whether nothing more will come of it."""

    @property
    def run(self) -> Run | None:
        """The run that came of it."""
        return None if self.ended is None else self.ended.run

    @property
    def activity(self) -> str:
        """What it is doing, in words."""
        return self.discharge.activity if self.discharge else "starting"

    @property
    def at_work(self) -> bool:
        """Whether it has begun and goes on."""
        return self.began is not None and not self.over


def plan(
    views: Iterable[View],
    graph: Graph,
    *,
    strategy: StrategyChoice | None,
    usual_seconds: dict[str, float | None],
) -> list[Job]:
    """The jobs of one database; `strategy` overrides what the views say.

    Of a group, all views have to be among them.

    Raises:
        PlanError: the views read each other.
    """
    named = {view.name: view for view in views}
    groups = grouped(named)
    together = {
        name: tuple(other for other in groups.get(view.group or "", ()) if other is not view)
        for name, view in named.items()
    }
    return [
        Job(
            view=named[name],
            upstreams={
                each.name: graph.refreshed_upstreams(each.name)
                for each in (named[name], *together[name])
            },
            others=together[name],
            after=_above(graph, {name, *(other.name for other in together[name])}),
            strategy=strategy or named[name].strategy,
            usual_seconds=usual_seconds[name],
        )
        for name in graph.order(named)
    ]


def _above(graph: Graph, group: set[str]) -> frozenset[str]:
    """What is to be refreshed before a group; not what reads some of it itself."""
    above = frozenset[str]().union(*map(graph.all_upstreams, group)) - group
    return frozenset(name for name in above if group.isdisjoint(graph.all_upstreams(name)))


@dataclass(slots=True, kw_only=True)
class ManualRefresh:
    """Jobs in one database. `run` blocks; `cancel` may be called from another thread."""

    endpoint: Endpoint
    worker: str
    jobs: list[Job]
    max_parallel: int
    most_lag: timedelta | None
    """While a standby is further behind, columns wait with writing."""
    exact: bool
    """Whether contents have to be as of when they were asked for, or later."""
    finished: queue.SimpleQueue[Job] = field(default_factory=queue.SimpleQueue)
    """Every job once more, as soon as it has ended, for whoever tells of it."""
    _ready: queue.SimpleQueue[Job | None] = field(default_factory=queue.SimpleQueue, init=False)
    _done: queue.SimpleQueue[Job] = field(default_factory=queue.SimpleQueue, init=False)
    _cancelled: threading.Event = field(default_factory=threading.Event, init=False)

    def run(self) -> None:
        """Refresh them all; how each one went is in its job."""
        jobs = {job.view.name: job for job in self.jobs}
        sorter = TopologicalSorter({name: job.after & jobs.keys() for name, job in jobs.items()})
        sorter.prepare()
        threads = [
            threading.Thread(target=self._work, name=f"refresh {number}", daemon=True)
            for number in range(min(self.max_parallel, len(jobs)))
        ]
        for thread in threads:
            thread.start()
        while sorter.is_active():
            for name in sorter.get_ready():
                self._ready.put(jobs[name])
            job = self._done.get()
            self.finished.put(job)
            sorter.done(job.view.name)
        for _ in threads:
            self._ready.put(None)
        for thread in threads:
            thread.join()

    def cancel(self) -> None:
        """Begin nothing more, and cancel what is at work; to be repeated until `run` returns."""
        self._cancelled.set()
        for job in self.jobs:
            if job.discharge is not None and not job.over:
                job.discharge.cancel()

    def _work(self) -> None:
        session = Session(self.endpoint, worker=self.worker)
        try:
            while (job := self._ready.get()) is not None:
                if not self._cancelled.is_set():
                    self._do(session, job)
                job.over = True
                self._done.put(job)
        finally:
            session.discard()

    def _do(self, session: Session, job: Job) -> None:
        job.began = time.monotonic()
        try:
            job.ended = self._discharge(session, job)
        except RefresherError as error:
            job.error, job.exit_code = str(error), error.exit_code
        except psycopg.Error as error:
            away = breaks_connection(error)
            job.exit_code = UnreachableError.exit_code if away else RefresherError.exit_code
            job.error = f"{'the database went away: ' if away else ''}{describe(error)}"
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            job.bug = error

    def _discharge(self, session: Session, job: Job) -> Discharged | None:
        due_at = read_clock(session.connection())
        while True:
            task = self._task(job, job.view, due_at)
            others = tuple(self._task(job, other, due_at) for other in job.others)
            task = replace(task, strategy=job.strategy, others=others)
            job.discharge = Discharge(session, task, _nobody)
            if self._cancelled.is_set():
                job.discharge.cancel()
            ended = job.discharge.run()
            if ended is None or not (ended.joined and self._is_too_old(job, ended.run, due_at)):
                return ended

    def _task(self, job: Job, view: View, due_at: datetime) -> Task:
        return Task(
            view=view,
            upstreams=job.upstreams[view.name],
            trigger=Trigger.MANUAL,
            due_at=due_at,
            attempt=1,
            ready_at=due_at,
            strategy=view.strategy,
            max_parallel=self.max_parallel,
            most_lag=self.most_lag,
            misfires=partial(misfires, view),
        )

    def _is_too_old(self, job: Job, run: Run, due_at: datetime) -> bool:
        """Whether a run that was joined read older contents than was asked for."""
        above = [other.run for other in self.jobs if other.view.name in job.after]
        refreshed = any(upstream is not None and upstream.succeeded for upstream in above)
        return (self.exact or refreshed) and run.as_of is not None and run.as_of < due_at


def _nobody(_event: object) -> None:
    """The command itself says how it went."""
