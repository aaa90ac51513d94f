"""The record of how an attempt ended: writing it, or finding out what became of a COMMIT."""

import contextlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import psycopg

from refresher.errors import FailureReason, RefreshError
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, milliseconds, set_local, short_transaction
from refresher.refresh.choose import Choice
from refresher.runs import Run

_QUERIES = load_queries("refresher.refresh", "attempt.sql")

T = TypeVar("T")

_LATE_CANCELLATIONS = 10


def uncancelled(act: Callable[[], T]) -> T:
    """Do what a cancellation that comes too late for the refresh must not cut off.

    Raises:
        psycopg.Error: it fails, or is cancelled again and again.
    """
    for _ in range(_LATE_CANCELLATIONS):
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            return act()
    return act()


def read_verdict(connection: Connection, run: Run, patience: timedelta) -> Run | None:
    """The record after an unanswered COMMIT, once PostgreSQL has decided; None if it did not.

    Raises:
        psycopg.Error: nothing is decided yet, or the database went away again.
    """
    with short_transaction(connection):
        connection.execute(set_local("lock_timeout", milliseconds(patience)))
        connection.execute(_QUERIES["wait_for_fence"], {"view": run.view})
        row = connection.execute(_QUERIES["read_run"], {"run": run.id}).fetchone()
    found = Run.from_row(row) if row else None
    return found if found and found.outcome else None


def end_run(
    connection: Connection,
    run: Run,
    failure: Mapping[str, Any],
    *,
    choice: Choice | None,
    lock_wait: float | None,
) -> Run:
    """Record that a run failed or was cancelled; returns its record, be it somebody else's.

    Raises:
        RefreshError: there is no record any more.
        psycopg.Error: the database went away again.
    """
    row = connection.execute(
        _QUERIES["end_run"],
        {
            "run": run.id,
            "strategy": choice and choice.strategy,
            "reason": choice and choice.reason,
            "lock_wait": lock_wait,
            **failure,
        },
    ).fetchone()
    row = row or connection.execute(_QUERIES["read_run"], {"run": run.id}).fetchone()
    if row is None:
        message = f"the record of a run of {run.view!r} vanished"
        raise RefreshError(message, reason=FailureReason.LOST)
    return Run.from_row(row)
