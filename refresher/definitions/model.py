"""What a relation is like, desired or standing, in PostgreSQL's own words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from refresher.config.model import View
from refresher.definitions.template import Template


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class IndexFacts:
    """An index without its name: two with equal facts are one and the same to a query."""

    unique: bool
    primary: bool = False
    """Whether it is that of a table's primary key."""
    body: str
    """From USING on, as `pg_get_indexdef` writes it."""
    tablespace: str | None = None
    """None is the database's default."""
    statistics: tuple[tuple[int, int], ...] = ()
    """Statistics targets that were set, by the number of the index's column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationFacts:
    """A view as PostgreSQL sees it: two definitions with equal facts are no drift."""

    oid: int
    kind: str
    """`pg_class.relkind`."""
    query: str
    """`pg_get_viewdef`: formatting and comments are gone."""
    query_oid: int | None = None
    """Of a maintained table, the plain view that has its query."""
    columns: tuple[tuple[str, str], ...]
    """Names and types, in order; a type has its COLLATE where that is not the type's own."""
    indexes: Mapping[str, IndexFacts]
    """By name; those that are valid."""
    invalid_indexes: frozenset[str] = frozenset()
    """What a CREATE INDEX CONCURRENTLY that was cut off left."""
    owner: str
    grants: Mapping[str, frozenset[str]]
    """Role to privileges, without the owner's own."""
    comment: str | None
    populated: bool
    options: Mapping[str, str] = field(default_factory=dict)
    """`pg_class.reloptions`: storage parameters, or security_barrier and the like."""
    tablespace: str | None = None
    """None is the database's default."""
    access_method: str | None = None
    """How contents are stored: `heap`, or what an extension brings; None without contents."""
    rows: int | None = None
    """The planner's estimate; None where it has none."""
    bytes: int = 0
    """With indexes and TOAST."""

    @property
    def is_view(self) -> bool:
        """Whether it is what refresher may manage: any other relation's name is only taken."""
        return self.kind in {"v", "m"} or (self.kind == "r" and self.query_oid is not None)

    @property
    def has_contents(self) -> bool:
        """Whether it stores rows, which have to be computed."""
        return self.kind in {"m", "r"}

    @property
    def reader(self) -> int:
        """The OID of what has its query, and so reads what it is made from."""
        return self.oid if self.query_oid is None else self.query_oid

    @property
    def primary_key(self) -> str | None:
        """The body of a table's primary key."""
        return next((index.body for index in self.indexes.values() if index.primary), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A view that is managed, or an unmanaged one that reads those: what a plan is about."""

    label: str
    """A managed view's name; an unmanaged one's relation, which has a dot."""
    view: View
    """As configured; of an unmanaged one, what stands, so that everything of it stays."""
    managed: bool
    standing: RelationFacts | None
    desired: RelationFacts | None
    """None if what it reads loses what it needs: `problem` says what."""
    problem: str | None = None
    template: Template | None = None
    """The desired query, to be turned to other names; there is one if there is `desired`."""
    read: frozenset[str] = frozenset()
    """Labels of what it reads directly as it stands."""
    reads: frozenset[str] = frozenset()
    """Labels of what it would read directly."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A relation that a view would read and its owner may not."""

    relation: str
    cure: str
    """The statements that let it."""


def replaceable(standing: RelationFacts, desired: RelationFacts) -> bool:
    """Whether CREATE OR REPLACE VIEW makes one of the other: columns may only be added at the end.

    postgresql.org/docs/current/sql-createview.html
    """
    plain = standing.kind == desired.kind == "v"
    return plain and desired.columns[: len(standing.columns)] == standing.columns


def stands_as_desired(subject: Subject) -> bool:
    """Whether what stands has the desired query, columns, kind and key, and fills the same."""
    standing, desired = subject.standing, subject.desired
    return (
        standing is not None
        and desired is not None
        and (subject.view.fills is None or standing.comment == desired.comment)
        and (standing.kind, standing.columns, standing.query, standing.primary_key)
        == (desired.kind, desired.columns, desired.query, desired.primary_key)
    )
