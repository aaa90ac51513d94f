"""What stands in the catalog, as values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from refresher.config.model import Kind
from refresher.names import RelationName

RELATION_KINDS = {
    Kind.VIEW: "v",
    Kind.MATERIALIZED_VIEW: "m",
    Kind.TABLE: "r",
    Kind.COLUMNS: "v",
}
"""`pg_class.relkind` of what each kind is in PostgreSQL; of columns, what has their query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A relation a refresh reads that is not a plain view."""

    oid: int
    relation: RelationName
    lockable: bool
    """Whether LOCK TABLE works on it: a table or partitioned table that we may SELECT from."""
    storages: tuple[int, ...]
    """OIDs of the relations that hold its rows: itself, or its partitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A relation to refresh, as it stands now."""

    oid: int
    relation: RelationName
    relation_kind: str
    """`pg_class.relkind`: m for a materialized view, r for a table."""
    populated: bool
    """Of a materialized view: PostgreSQL does not tell it of a table."""
    unique_index: str | None
    """An index that lets REFRESH CONCURRENTLY work, if there is one."""
    query: RelationName | None = None
    """The view that has the query of a maintained table."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Those of a table or materialized view, in their order, and their types."""
    unique_keys: tuple[frozenset[str], ...] = ()
    """What each of its unique indexes allows once only; nothing where it is not so simple."""
    sources: tuple[Source, ...]

    @property
    def unlockable_storages(self) -> tuple[int, ...]:
        """Where the rows of the sources live that can't be locked."""
        return tuple(
            oid for source in self.sources if not source.lockable for oid in source.storages
        )
