"""Reading what is known of some views of a database, in one transaction. Nothing here writes."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from refresher import freshness
from refresher.catalog.model import RELATION_KINDS
from refresher.config.model import Throttle, View
from refresher.graph import Graph
from refresher.observe.model import ViewSnapshot
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, local_settings
from refresher.runs import Outcome, Run
from refresher.schedule.aims import Aim
from refresher.schedule.attention import again_at
from refresher.schedule.decision import Facts
from refresher.schedule.due import decide, next_due_at
from refresher.schedule.facts import gather_facts
from refresher.schedule.load import read_load
from refresher.schedule.throttle import delayed, exceeded
from refresher.schedule.waiting import why_it_waits
from refresher.store.drift import Watched, read_watched
from refresher.store.presence import replicas
from refresher.store.state import LastRun, ViewState, read_clock, read_last_runs, read_states
from refresher.store.verdicts import BrokenCheck, read_broken_checks

_QUERIES = load_queries("refresher.observe", "snapshot.sql")

_STATEMENT_TIMEOUT = timedelta(seconds=30)
_LOCK_TIMEOUT = timedelta(milliseconds=100)
"""Whoever holds a lock we meet is at work; we read again soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What views have in common, and what changes seldom."""

    views: Mapping[str, View]
    graph: Graph
    aims: Mapping[str, Aim]
    max_staleness: Mapping[str, timedelta | None]
    throttle: Throttle


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some views as they were at one moment."""

    clock: "Clock"
    views: Mapping[str, ViewSnapshot]
    again: Mapping[str, datetime | None]
    """When each must be read again, although nothing happens to it; None if it need not be."""
    measured: bool
    """Whether they could be measured: not if somebody's lock was in the way."""
    replicas: int


def read_part(connection: Connection, around: Surroundings, names: Collection[str]) -> Part:
    """Read some of the views.

    Raises:
        psycopg.Error: the database went away, or does not answer in time.
        PlanError: the views read each other.
    """
    above = set().union(*map(around.graph.all_upstreams, names)).difference(names)
    with reading(connection):
        found = _Found.read(
            connection,
            {name: around.views[name] for name in names},
            {name: around.views[name] for name in above & around.views.keys()},
        )
        living = replicas(connection)
        throttled = _throttled(connection, around.throttle)
        # Last, for decisions need states that were read no later than their now.
        clock = _read_clock(connection)
    read = {name: around.views[name] for name in found.states}
    facts = gather_facts(read, found.states, around.graph, around.aims, clock.now)
    decisions = {name: decide(around.views[name], facts[name]) for name in names}
    return Part(
        clock=clock,
        views={
            name: found.view_snapshot(
                around.views[name],
                around.graph,
                around.max_staleness[name],
                facts[name],
                why_it_waits(
                    around.views[name],
                    facts[name],
                    delayed(decisions[name], populated=facts[name].populated, reason=throttled),
                    served=living > 0,
                ),
            )
            for name in names
        },
        again={
            name: again_at(decision, clock.now, paused_until=found.states[name].paused_until)
            for name, decision in decisions.items()
        },
        measured=found.sizes is not None,
        replicas=living,
    )


@contextmanager
def reading(connection: Connection) -> Iterator[None]:
    """A transaction that sees one picture, and gets in nobody's way."""
    with connection.transaction():
        connection.execute(_QUERIES["begin_reading"])
        connection.execute(
            local_settings(
                {}, statement=_STATEMENT_TIMEOUT, lock=_LOCK_TIMEOUT, checks_client=False
            )
        )
        yield


@dataclass(frozen=True, slots=True)
class Clock:
    """The database's clock beside ours."""

    now: datetime
    monotonic: float
    offset: float


def _read_clock(connection: Connection) -> Clock:
    """Both clocks, each taken for the middle of the round trip."""
    monotonic, wall = time.monotonic(), time.time()
    now = read_clock(connection)
    half = (time.monotonic() - monotonic) / 2
    return Clock(now, monotonic + half, now.timestamp() - (wall + half))


@dataclass(frozen=True, slots=True)
class _Found:
    """What was read, by view."""

    states: Mapping[str, ViewState]
    last_runs: Mapping[str, LastRun]
    last_successes: Mapping[str, Run]
    tallies: Mapping[str, Mapping[tuple[str, str], int]]
    sizes: Mapping[str, Mapping[str, Any]] | None
    """None if somebody's lock was in the way."""
    broken_checks: Mapping[str, tuple[BrokenCheck, ...]]
    watched: Mapping[str, Watched]

    @classmethod
    def read(
        cls, connection: Connection, views: Mapping[str, View], above: Mapping[str, View]
    ) -> "_Found":
        """Of `views` everything, of `above` the states."""
        states = read_states(connection, {**views, **above})
        names = {"views": list(views)}
        tallies: dict[str, dict[tuple[str, str], int]] = {}
        for row in connection.execute(_QUERIES["tallies"], names):
            tallies.setdefault(row["view"], {})[row["metric"], row["label"]] = row["value"]
        last_runs = read_last_runs(connection, views)
        return cls(
            states=states,
            last_runs=last_runs,
            last_successes=_read_last_successes(connection, views, last_runs),
            tallies=tallies,
            sizes=_read_sizes(connection, [states[name] for name in views]),
            broken_checks=read_broken_checks(connection, views),
            watched=read_watched(connection, views),
        )

    def view_snapshot(
        self,
        view: View,
        graph: Graph,
        max_staleness: timedelta | None,
        facts: Facts,
        waiting: str | None,
    ) -> ViewSnapshot:
        name = view.name
        stored = self.states[name]
        last = self.last_runs.get(name)
        last_run = last.run if last else None
        success = self.last_successes.get(name)
        size = (self.sizes or {}).get(name, {})
        upstreams = {
            upstream: _age(self.states[upstream]) for upstream in graph.refreshed_upstreams(name)
        }
        # Nothing tells how old the contents are that nobody here refreshes.
        unmanaged = bool(graph.unmanaged_upstreams(name))
        live = not (view.refreshed or upstreams or unmanaged) and _stands(view, stored)
        age = _age(stored) if view.refreshed else freshness.Age(None, (name,))
        if not view.refreshed and _stands(view, stored):
            age = freshness.plain(name, facts.now, upstreams, unmanaged=unmanaged)
        return ViewSnapshot(
            view=view,
            stored=stored,
            live=live,
            fixed_data_as_of=None if live else age.data_as_of,
            oldest=age.oldest,
            max_staleness=max_staleness,
            last_run=last_run,
            last_ended=_last_ended(last_run, success, *stored.unsuccessful),
            last_success_at=success.finished_at if success else stored.as_of,
            consecutive_failures=last.failures if last else 0,
            rows=_known_rows(stored, size),
            bytes=size.get("bytes") or (success.bytes if success else None),
            dead_rows=size.get("dead_rows"),
            next_due_at=next_due_at(view, facts),
            waiting=waiting,
            tallies=self.tallies.get(name, {}),
            broken_checks=tuple(
                broken
                for broken in self.broken_checks.get(name, ())
                if broken.check in view.checks.names  # it may have been taken out meanwhile
            ),
            watched=self.watched[name],
        )


def _throttled(connection: Connection, throttle: Throttle) -> str | None:
    """Why scheduled refreshes are delayed; None if they are not, or nobody can tell."""
    if not throttle.keys:
        return None
    try:
        with connection.transaction():
            return exceeded(throttle, read_load(connection))
    except psycopg.errors.InsufficientPrivilege:
        return None  # the daemon's log says so


def _age(stored: ViewState) -> freshness.Age:
    return freshness.Age(stored.data_as_of, stored.oldest or (stored.view,))


def _stands(view: View, stored: ViewState) -> bool:
    return stored.relation_kind == RELATION_KINDS[view.kind]


def _last_ended(*runs: Run | None) -> Run | None:
    ended = [
        run
        for run in runs
        if run is not None and run.outcome is not None and run.outcome is not Outcome.CANCELLED
    ]
    return max(ended, key=lambda run: run.id, default=None)


def _known_rows(stored: ViewState, size: Mapping[str, Any]) -> int | None:
    """As counted by the last refresh; PostgreSQL's own estimate where there was none."""
    if stored.rows is not None:
        return stored.rows
    estimated: int = size.get("estimated_rows", -1)
    return None if estimated < 0 else estimated


def _read_last_successes(
    connection: Connection, views: Iterable[str], last_runs: Mapping[str, LastRun]
) -> dict[str, Run]:
    """The last success of each view: mostly its last run, which is known by then."""
    found = {name: last.run for name, last in last_runs.items() if last.run.succeeded}
    others = [name for name in views if name not in found]
    rows = connection.execute(_QUERIES["last_successes"], {"views": others})
    return found | {row["view"]: Run.from_row(row) for row in rows}


def _read_sizes(
    connection: Connection, states: Iterable[ViewState]
) -> dict[str, Mapping[str, Any]] | None:
    standing = {state.view: state.relation for state in states if state.relation}
    names = {"views": list(standing), "oids": list(standing.values())}
    try:
        with connection.transaction():
            rows = connection.execute(_QUERIES["sizes"], names).fetchall()
    except psycopg.errors.LockNotAvailable:
        return None  # a plain refresh began just now: its view is measured the next time
    return {row["view"]: row for row in rows}
