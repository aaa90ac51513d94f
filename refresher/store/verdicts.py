"""Verdicts on checks, as state: which are broken, since when, and when those of whom were judged.

A refused refresh's are written with the record of its failure. Those of plain views are written by
whoever judges them, one process a view at a time.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.store", "verdicts.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenCheck:
    """A check of a view that is broken now."""

    check: str
    """Its key in the configuration."""
    message: str
    broken_since: datetime
    checked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """When the checks of a plain view were judged last."""

    at: datetime | None
    """None if they never were."""
    now: datetime
    """The database's clock as this was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A check that is broken in another way than before, or holds where it was broken or new."""

    check: str
    message: str | None
    """How it is broken; None if it holds."""


def read_judged(connection: Connection, views: Collection[str]) -> dict[str, Judged]:
    """When the checks of these plain views were judged last, by view."""
    rows = connection.execute(_QUERIES["judged"], {"views": list(views)})
    return {row["view"]: Judged(at=row["judged_at"], now=row["now"]) for row in rows}


def take_turn(connection: Connection, view: str) -> bool:
    """In a transaction, keep others from judging a view until it ends; False if somebody does."""
    row = connection.execute(_QUERIES["take_turn"], {"view": view}).fetchone()
    return bool(row and row["taken"])


def record_verdicts(
    connection: Connection, view: str, verdicts: Mapping[str, str | None]
) -> tuple[News, ...]:
    """Store how each check of a plain view was judged: how it is broken, or None.

    It replaces all that was known of the view; returns what was not known, or is no longer so.
    """
    rows = connection.execute(
        _QUERIES["record_verdicts"],
        {"view": view, "checks": list(verdicts), "messages": list(verdicts.values())},
    )
    return tuple(News(check=row["check_name"], message=row["message"]) for row in rows)


def forget_verdicts(connection: Connection, views: Collection[str]) -> None:
    """Forget what was judged of plain views that have no checks any more."""
    connection.execute(_QUERIES["forget_verdicts"], {"views": list(views)})


def read_broken_checks(
    connection: Connection, views: Collection[str]
) -> dict[str, tuple[BrokenCheck, ...]]:
    """The checks that are broken now, by view; a view without any is left out."""
    found: dict[str, list[BrokenCheck]] = {}
    for row in connection.execute(_QUERIES["broken_checks"], {"views": list(views)}):
        broken = BrokenCheck(
            check=row["check_name"],
            message=row["message"],
            broken_since=row["broken_since"],
            checked_at=row["checked_at"],
        )
        found.setdefault(row["view"], []).append(broken)
    return {view: tuple(broken) for view, broken in found.items()}
