"""Processes at work: who lives, and what the dead left open."""

import os
import secrets
import socket
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Literal

import psycopg
from psycopg.rows import DictRow

from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, short_transaction
from refresher.runs import Run
from refresher.store.standing import Configured

BEAT_EVERY = timedelta(seconds=2)
DEAD_AFTER = timedelta(seconds=10)
"""A process that has not been heard of for so long is dead; its fence was free long before."""
FORGOTTEN_AFTER = timedelta(hours=1)
"""How long the dead's views stay known: nobody refreshes them, which is when to see them stale."""

_QUERIES = load_queries("refresher.store", "store.sql")


def worker_name() -> str:
    """A name for this process that no other ever has: a dead one's is never taken up again."""
    return f"{socket.gethostname()[:40]}/{os.getpid()}/{secrets.token_hex(3)}"


def beat(
    connection: Connection,
    *,
    worker: str,
    kind: Literal["daemon", "command"],
    views: Iterable[str],
    configuration: str | None = None,
    configured_at: datetime | None = None,
) -> datetime | None:
    """Say that this process lives, and which views it knows.

    Args:
        connection: to the database.
        worker: this process's name.
        kind: what it is.
        views: the views in its configuration.
        configuration: a daemon's digest of that.
        configured_at: since when it has that, if that was said before.

    Returns:
        Since when it has its configuration, by the database's clock; None for a command.
    """
    row = connection.execute(
        _QUERIES["beat"],
        {
            "worker": worker,
            "kind": kind,
            "views": list(views),
            "configuration": configuration,
            "configured_at": configured_at,
        },
    ).fetchone()
    return row["configured_at"] if row else None


def go_on(
    connection: Connection, *, worker: str, dead_after: timedelta = DEAD_AFTER
) -> tuple[Configured, ...] | None:
    """Say that this daemon lives, and still knows the same views.

    Args:
        connection: to the database.
        worker: this process's name.
        dead_after: how long nothing has been heard of those who count as dead.

    Returns:
        Every living daemon that says by which configuration it works; None if this one is not known
        (any more).
    """
    who = {"worker": worker, "dead_after": dead_after}
    rows = connection.execute(_QUERIES["go_on"], who, prepare=True).fetchall()
    return _configured(rows) if rows else None


def configured(
    connection: Connection, *, dead_after: timedelta = DEAD_AFTER
) -> tuple[Configured, ...]:
    """Every living daemon that says by which configuration it works."""
    return _configured(connection.execute(_QUERIES["configured"], {"dead_after": dead_after}))


def views_of(connection: Connection, workers: Collection[str]) -> frozenset[str]:
    """The views that any of some processes has in its configuration."""
    if not workers:
        return frozenset()
    rows = connection.execute(_QUERIES["views_of_workers"], {"workers": list(workers)})
    return frozenset(row["view"] for row in rows)


def _configured(rows: Iterable[DictRow]) -> tuple[Configured, ...]:
    return tuple(Configured(**row) for row in rows if row["configuration"] is not None)


def leave(connection: Connection, *, worker: str) -> None:
    """Say that this process ends."""
    connection.execute(_QUERIES["leave"], {"worker": worker})


def replicas(connection: Connection) -> int:
    """How many daemons live."""
    row = connection.execute(_QUERIES["replicas"], {"dead_after": DEAD_AFTER}).fetchone()
    return row["replicas"] if row else 0


def close_lost_runs(
    connection: Connection, *, worker: str, in_flight: Collection[int]
) -> tuple[Run, ...]:
    """Close as `lost` what dead processes left open, each view's under its fence.

    A view whose fence is held is left for later: its open run may well be the one at work.
    `in_flight` are this process's own runs that are still at work.
    """
    who = {"worker": worker, "in_flight": list(in_flight), "dead_after": DEAD_AFTER}
    closed: list[Run] = []
    for row in connection.execute(_QUERIES["lost_runs"], who, prepare=True).fetchall():
        try:
            with short_transaction(connection):
                connection.execute(_QUERIES["lock_fence"], {"view": row["view"]})
                ended = connection.execute(_QUERIES["close_lost"], {"runs": row["runs"]})
                closed.extend(map(Run.from_row, ended.fetchall()))
        except psycopg.errors.LockNotAvailable:
            continue
    return tuple(closed)
