"""Drift as state: what the last look found, and when that was."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.store", "drift.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRecord:
    """One aspect in which a view differs from its definition."""

    view: str
    aspect: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDrift:
    """The same as it was stored."""

    aspect: str
    message: str
    found_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is known of what others did to a view."""

    looked_at: datetime | None = None
    """When it was last compared with its definition; None if it never was."""
    problem: str | None = None
    """Why the last try to compare it came to nothing, if it did."""
    drift: tuple[KnownDrift, ...] = ()
    """As of `looked_at`."""
    refreshed_outside_at: datetime | None = None
    """When the last refresh that was somebody else's was seen; None if the contents are ours."""


def look_due(connection: Connection, views: Collection[str], *, every: timedelta) -> bool:
    """Whether nobody has compared some of these views with their definitions for that long."""
    row = connection.execute(
        _QUERIES["look_due"], {"views": list(views), "every": every}
    ).fetchone()
    return bool(row and row["due"])


def look_overdue(connection: Connection, *, every: timedelta) -> bool:
    """Whether some view, anybody's, was compared with its definition, and not for that long.

    It costs little however many views there are, and says whether `look_due` is worth asking of
    those that were compared before.
    """
    row = connection.execute(_QUERIES["look_overdue"], {"every": every}).fetchone()
    return bool(row and row["due"])


def ask_for_look(connection: Connection, views: Collection[str]) -> None:
    """Have a daemon compare these views soon: something has changed."""
    connection.execute(_QUERIES["ask_for_look"], {"views": list(views)})


def record_drift(
    connection: Connection, views: Collection[str], found: Iterable[DriftRecord]
) -> tuple[tuple[DriftRecord, ...], tuple[DriftRecord, ...]]:
    """Store what a look at all these views found; returns what is new, and what is gone."""
    records = list(found)
    rows = connection.execute(
        _QUERIES["record_drift"],
        {
            "views": list(views),
            "drifting": [record.view for record in records],
            "aspects": [record.aspect for record in records],
            "messages": [record.message for record in records],
        },
    ).fetchall()
    told = [(row.pop("stands"), DriftRecord(**row)) for row in rows]
    return (
        tuple(record for stands, record in told if stands),
        tuple(record for stands, record in told if not stands),
    )


def record_problem(connection: Connection, views: Collection[str], problem: str) -> bool:
    """Store why these views could not be compared; returns whether that is news."""
    rows = connection.execute(
        _QUERIES["record_problem"], {"views": list(views), "problem": problem}
    )
    return bool(rows.fetchall())


def read_watched(connection: Connection, views: Collection[str]) -> dict[str, Watched]:
    """What is known of what others did to these views."""
    drift: dict[str, list[KnownDrift]] = {}
    looks: dict[str, dict[str, Any]] = {}
    for row in connection.execute(_QUERIES["watched"], {"views": list(views)}):
        view = row.pop("view")
        known = {name: row.pop(name) for name in ("aspect", "message", "found_at")}
        looks[view] = row
        if known["aspect"] is not None:
            drift.setdefault(view, []).append(KnownDrift(**known))
    return {view: Watched(**look, drift=tuple(drift.get(view, ()))) for view, look in looks.items()}
