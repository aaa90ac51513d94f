"""Reading what is known of a database's views, in one transaction. Nothing here writes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from refresher import freshness
from refresher.catalog.introspection import RELATION_KINDS
from refresher.config.model import Database, View
from refresher.graph import Graph
from refresher.observe.model import DatabaseSnapshot, ViewSnapshot
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, local_settings
from refresher.runs import Outcome, Run
from refresher.schedule.due import Facts, Waiting, decide, next_due_at
from refresher.schedule.facts import gather_facts
from refresher.schedule.usual import read_aims
from refresher.store.drift import Watched, read_watched
from refresher.store.presence import replicas
from refresher.store.state import LastRun, ViewState, read_clock, read_last_runs, read_states
from refresher.store.verdicts import BrokenCheck, read_broken_checks

_QUERIES = load_queries("refresher.observe", "snapshot.sql")

_STATEMENT_TIMEOUT = timedelta(seconds=30)
_LOCK_TIMEOUT = timedelta(milliseconds=100)
"""Whoever holds a lock we meet is at work; we read again soon."""


def read_snapshot(
    connection: Connection, database: Database, views: Mapping[str, View], graph: Graph
) -> DatabaseSnapshot:
    """Read the state of these views, all of one database.

    Raises:
        psycopg.Error: the database went away, or does not answer in time.
        PlanError: the views read each other.
    """
    began = time.monotonic()
    with connection.transaction():
        connection.execute(_QUERIES["begin_reading"])
        connection.execute(
            local_settings(
                {}, statement=_STATEMENT_TIMEOUT, lock=_LOCK_TIMEOUT, checks_client=False
            )
        )
        found = _Found.read(connection, views)
        aims = read_aims(connection, views, graph)
        living = replicas(connection)
        unmanaged = _unmanaged_views(connection, found.states)
        # Last, for decisions need states that were read no later than their now.
        clock = _read_clock(connection)
    limits = freshness.effective_max_staleness(views, graph)
    facts = gather_facts(views, found.states, graph, aims, clock.now)
    return DatabaseSnapshot(
        database=database.alias,
        read_at=clock.now,
        read_at_monotonic=clock.monotonic,
        clock_offset=clock.offset,
        read_seconds=time.monotonic() - began,
        views={
            name: found.view_snapshot(view, graph, limits[name], facts[name])
            for name, view in views.items()
        },
        replicas=living,
        unmanaged_views=unmanaged,
    )


@dataclass(frozen=True, slots=True)
class _Clock:
    now: datetime
    monotonic: float
    offset: float


def _read_clock(connection: Connection) -> _Clock:
    """The database's clock beside ours, each taken for the middle of the round trip."""
    monotonic, wall = time.monotonic(), time.time()
    now = read_clock(connection)
    half = (time.monotonic() - monotonic) / 2
    return _Clock(now, monotonic + half, now.timestamp() - (wall + half))


@dataclass(frozen=True, slots=True)
class _Found:
    """What was read, by view."""

    states: Mapping[str, ViewState]
    last_runs: Mapping[str, LastRun]
    last_successes: Mapping[str, Run]
    tallies: Mapping[str, Mapping[tuple[str, str], int]]
    sizes: Mapping[str, Mapping[str, Any]]
    broken_checks: Mapping[str, tuple[BrokenCheck, ...]]
    watched: Mapping[str, Watched]

    @classmethod
    def read(cls, connection: Connection, views: Mapping[str, View]) -> "_Found":
        states = read_states(connection, views)
        names = {"views": list(views)}
        tallies: dict[str, dict[tuple[str, str], int]] = {}
        for row in connection.execute(_QUERIES["tallies"], names):
            tallies.setdefault(row["view"], {})[row["metric"], row["label"]] = row["value"]
        successes = connection.execute(_QUERIES["last_successes"], names)
        return cls(
            states=states,
            last_runs=read_last_runs(connection, views),
            last_successes={row["view"]: Run.from_row(row) for row in successes},
            tallies=tallies,
            sizes=_read_sizes(connection, states),
            broken_checks=read_broken_checks(connection, views),
            watched=read_watched(connection, views),
        )

    def view_snapshot(
        self, view: View, graph: Graph, max_staleness: timedelta | None, facts: Facts
    ) -> ViewSnapshot:
        name = view.name
        stored = self.states[name]
        last = self.last_runs.get(name)
        last_run = last.run if last else None
        success = self.last_successes.get(name)
        size = self.sizes.get(name, {})
        upstreams = {
            upstream: _age(self.states[upstream]) for upstream in graph.refreshed_upstreams(name)
        }
        # Nothing tells how old the contents are that nobody here refreshes.
        unmanaged = bool(graph.unmanaged_upstreams(name))
        decision = decide(view, facts)
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
            waiting=decision.reason if isinstance(decision, Waiting) else None,
            tallies=self.tallies.get(name, {}),
            broken_checks=tuple(
                broken
                for broken in self.broken_checks.get(name, ())
                if broken.check in view.checks.names  # it may have been taken out meanwhile
            ),
            watched=self.watched[name],
        )


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


def _read_sizes(
    connection: Connection, states: Mapping[str, ViewState]
) -> dict[str, Mapping[str, Any]]:
    standing = {name: state.relation for name, state in states.items() if state.relation}
    names = {"views": list(standing), "oids": list(standing.values())}
    try:
        with connection.transaction():
            rows = connection.execute(_QUERIES["sizes"], names).fetchall()
    except psycopg.errors.LockNotAvailable:
        return {}  # a plain refresh began just now: its view is measured the next time
    return {row["view"]: row for row in rows}


def _unmanaged_views(connection: Connection, states: Mapping[str, ViewState]) -> int:
    oids = [state.relation for state in states.values() if state.relation]
    row = connection.execute(_QUERIES["unmanaged_views"], {"oids": oids}).fetchone()
    return row["unmanaged"] if row else 0
