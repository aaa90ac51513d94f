"""What apply did to views, so that later ones can tell what is outdated, renamed, or left over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from refresher.config.model import View
from refresher.names import RelationName
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.store", "definition.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedView:
    """A view as it was applied last."""

    relation: RelationName
    changed_at: datetime | None
    """When its query was changed last, by the database's clock; None if it never was."""


def read_applied(connection: Connection) -> dict[str, AppliedView]:
    """The views that were applied in this database, by name; none where there is no store."""
    if not _is_present(connection):
        return {}
    return {
        row["view"]: AppliedView(
            relation=RelationName(row["schema"], row["name"]), changed_at=row["changed_at"]
        )
        for row in connection.execute(_QUERIES["applied"])
    }


def read_former(connection: Connection, names: Collection[str]) -> dict[str, RelationName]:
    """Where views of these names were, as far as the store remembers."""
    if not names or not _is_present(connection):
        return {}
    rows = connection.execute(_QUERIES["former"], {"views": list(names)})
    return {row["view"]: RelationName(row["schema"], row["name"]) for row in rows}


def read_contents(connection: Connection, names: Collection[str]) -> dict[str, datetime]:
    """By which moment's definitions the contents of views were computed, where refresher did it."""
    if not _is_present(connection):
        return {}
    rows = connection.execute(_QUERIES["contents"], {"views": list(names)})
    return {row["view"]: row["at"] for row in rows}


def record_applied(connection: Connection, views: Mapping[str, View]) -> None:
    """These views have been applied, so that they can be told from others' later."""
    connection.execute(_QUERIES["record"], _places(views))


def record_change(
    connection: Connection,
    views: Mapping[str, View],
    *,
    changed: Collection[str],
    built: Collection[str] = (),
) -> None:
    """Record which views have another query from this transaction on, and which were built anew."""
    if views:
        marks = {"changed": list(changed), "built": list(built)}
        connection.execute(_QUERIES["change"], _places(views) | marks)


def rename(connection: Connection, before: str, after: str) -> None:
    """A view goes by another name, with its history."""
    connection.execute(_QUERIES["clear"], {"view": after})
    connection.execute(_QUERIES["rename"], {"before": before, "after": after})


def forget(connection: Connection, name: str) -> None:
    """A view is no more."""
    connection.execute(_QUERIES["forget"], {"view": name})


def _places(views: Mapping[str, View]) -> dict[str, list[str]]:
    return {
        "views": list(views),
        "schemas": [view.relation.schema for view in views.values()],
        "names": [view.relation.name for view in views.values()],
    }


def _is_present(connection: Connection) -> bool:
    row = connection.execute(_QUERIES["present"]).fetchone()
    return bool(row and row["present"])
