"""What a relation is like, desired or standing, in PostgreSQL's own words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class IndexFacts:
    """An index without its name: two with equal facts are one and the same to a query."""

    unique: bool
    body: str
    """From USING on, as `pg_get_indexdef` writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationFacts:
    """A view as PostgreSQL sees it: two definitions with equal facts are no drift."""

    oid: int
    kind: str
    """`pg_class.relkind`."""
    query: str
    """`pg_get_viewdef`: formatting and comments are gone."""
    shape: str
    """A digest of the query as parsed: the names it gives tables are gone, too."""
    columns: tuple[tuple[str, str], ...]
    """Names and types, in order."""
    indexes: Mapping[str, IndexFacts]
    """By name."""
    owner: str
    grants: Mapping[str, frozenset[str]]
    """Role to privileges, without the owner's own."""
    comment: str | None
    populated: bool
