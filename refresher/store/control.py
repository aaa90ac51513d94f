"""What people ask for: that a schedule is held or goes on, a refresh now, that rows are put right.

It is kept in tables of its own, which no refresh writes: a word said during one can't fail it.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.runs import Strategy
from refresher.store.presence import DEAD_AFTER

_QUERIES = load_queries("refresher.store", "store.sql")


def pause(connection: Connection, view: str, *, duration: timedelta, by: str) -> datetime:
    """Hold a view's schedule for a while from now; returns until when.

    A pause that is in force is replaced, be it longer or shorter.
    """
    row = connection.execute(
        _QUERIES["pause"], {"view": view, "duration": duration, "paused_by": by}
    ).fetchone()
    assert row is not None  # noqa: S101 - the query always returns one row
    until: datetime = row["until"]
    return until


def resume(connection: Connection, view: str) -> bool:
    """Let a view's schedule go on; returns whether it was paused."""
    return connection.execute(_QUERIES["resume"], {"view": view}).fetchone() is not None


def request(connection: Connection, view: str, *, strategy: Strategy | None, by: str) -> datetime:
    """Ask whichever daemon is free to refresh a view; returns the due instant this makes."""
    row = connection.execute(
        _QUERIES["request"], {"view": view, "strategy": strategy, "requested_by": by}
    ).fetchone()
    assert row is not None  # noqa: S101 - the query always returns one row
    requested_at: datetime = row["requested_at"]
    return requested_at


def served_views(connection: Connection, views: Collection[str]) -> frozenset[str]:
    """Those of these views that a living daemon has in its configuration."""
    rows = connection.execute(
        _QUERIES["served_views"], {"views": list(views), "dead_after": DEAD_AFTER}
    )
    return frozenset(row["view"] for row in rows)


def count_corrected(connection: Connection, view: str, *, rows: int) -> None:
    """Count rows that were found to differ from the view's query, and put right."""
    connection.execute(_QUERIES["count_corrected"], {"view": view, "rows": rows})
