"""Looking for drift: every definition compared with what stands, whatever some of them are like."""

import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeAlias

import psycopg

from refresher.catalog.introspection import read_graph
from refresher.config.model import View
from refresher.definitions.compare import Aspect, Drift, compare
from refresher.definitions.simulate import simulate
from refresher.errors import ConfigError
from refresher.graph import Graph
from refresher.postgres.sessions import Connection, local_settings

_TOGETHER = 25
"""How many views, roughly, one transaction simulates: sources stay locked, in the weakest mode, for
as long as it takes, which is some milliseconds a view."""
_STATEMENT_TIMEOUT = timedelta(seconds=30)
_LOCK_TIMEOUT = timedelta(milliseconds=100)
"""Whoever holds a lock we meet is at work, and others wait for those we hold: we give way."""
_TRIES = 3
"""How often some views are asked about of which one is locked: of very many, one often is."""

Rest: TypeAlias = Callable[[float], None]
"""Told how many seconds of work lie behind it, and may wait, or raise to end the look."""


def look_for_drift(
    connection: Connection, views: Mapping[str, View], *, rest: Rest = lambda _: None
) -> list[Drift]:
    """Every way in which these views, all of one database, differ from their definitions.

    A definition that PostgreSQL refuses differs, too: it is not what stands.

    Args:
        connection: to their database; free, and without locks, while `rest` is called.
        views: all that refresher has there.
        rest: called between some views and the next, where there are many.

    Raises:
        CatalogError: schemas, roles or privileges are missing that the definitions need.
        PlanError: they read each other in a circle.
        psycopg.errors.LockNotAvailable: somebody changes something; look again soon.
        psycopg.Error: the database went away, or does not let us read what they read.
    """
    try:
        return _compare_some_at_a_time(connection, views, rest)
    except ConfigError:
        pass  # a definition may read a view of another slice that does not stand yet
    try:
        return _compare(connection, views)
    except ConfigError:
        # One refused definition keeps all from being compared: each is asked by itself, with what
        # stands for what it reads.
        return [drift for view in views.values() for drift in _compare_one(connection, view)]


def _compare_some_at_a_time(
    connection: Connection, views: Mapping[str, View], rest: Rest
) -> list[Drift]:
    began = time.monotonic()
    found: list[Drift] = []
    for place, names in enumerate(_slices(read_graph(connection, views))):
        if place:
            rest(time.monotonic() - began)
            began = time.monotonic()
        found += _compare_patiently(connection, {name: views[name] for name in names})
    return found


def _compare_patiently(connection: Connection, views: Mapping[str, View]) -> list[Drift]:
    for _ in range(_TRIES - 1):
        with contextlib.suppress(psycopg.errors.LockNotAvailable):
            return _compare(connection, views)
    return _compare(connection, views)


def _slices(graph: Graph) -> list[list[str]]:
    """All views, those that read each other together."""
    slices: list[list[str]] = [[]]
    for group in graph.groups():
        if len(slices[-1]) >= _TOGETHER:
            slices.append([])
        slices[-1] += group
    return slices


def _compare_one(connection: Connection, view: View) -> list[Drift]:
    try:
        return _compare(connection, {view.name: view})
    except ConfigError as refusal:
        message = "; ".join(str(refusal).splitlines())
        return [Drift(view=view.name, aspect=Aspect.DEFINITION, message=message)]


def _compare(connection: Connection, views: Mapping[str, View]) -> list[Drift]:
    with connection.transaction(force_rollback=True):
        connection.execute(
            local_settings(
                {}, statement=_STATEMENT_TIMEOUT, lock=_LOCK_TIMEOUT, checks_client=False
            )
        )
        simulation = simulate(connection, views)
    return [
        drift
        for name, view in views.items()
        for drift in compare(view, simulation.desired[name], simulation.standing[name])
    ]
