"""Looking for drift: every definition compared with what stands, whatever some of them are like."""

from collections.abc import Mapping
from datetime import timedelta

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


def look_for_drift(connection: Connection, views: Mapping[str, View]) -> list[Drift]:
    """Every way in which these views, all of one database, differ from their definitions.

    A definition that PostgreSQL refuses differs, too: it is not what stands.

    Raises:
        CatalogError: schemas, roles or privileges are missing that the definitions need.
        PlanError: they read each other in a circle.
        psycopg.errors.LockNotAvailable: somebody changes something; look again soon.
        psycopg.Error: the database went away, or does not let us read what they read.
    """
    try:
        return [
            drift
            for names in _slices(read_graph(connection, views))
            for drift in _compare(connection, {name: views[name] for name in names})
        ]
    except ConfigError:
        pass  # a definition may read a view of another slice that does not stand yet
    try:
        return _compare(connection, views)
    except ConfigError:
        # One refused definition keeps all from being compared: each is asked by itself, with what
        # stands for what it reads.
        return [drift for view in views.values() for drift in _compare_one(connection, view)]


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
