"""Looking for drift: every definition compared with what stands, whatever some of them are like."""

from collections.abc import Mapping
from datetime import timedelta

from refresher.config.model import View
from refresher.definitions.compare import Aspect, Drift, compare
from refresher.definitions.simulate import simulate
from refresher.errors import ConfigError
from refresher.postgres.sessions import Connection, local_settings

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
        return _compare_all(connection, views)
    except ConfigError:
        # One refused definition keeps all from being compared: each is asked by itself, with what
        # stands for what it reads.
        return [
            drift for name, view in views.items() for drift in _compare_one(connection, name, view)
        ]


def _compare_one(connection: Connection, name: str, view: View) -> list[Drift]:
    try:
        return _compare_all(connection, {name: view})
    except ConfigError as refusal:
        message = "; ".join(str(refusal).splitlines())
        return [Drift(view=name, aspect=Aspect.DEFINITION, message=message)]


def _compare_all(connection: Connection, views: Mapping[str, View]) -> list[Drift]:
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
