"""The relations under torture, as data: a table, and five views, each over the one before. Pure.

A column is known by its number, which stays while its name, type and place change; so a change in
one view leaves the definitions downstream valid, and what survives a change can be told.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self


class Family(StrEnum):
    """Types whose values can be cast to one another and back."""

    NUMBER = "number"
    WORD = "word"
    DAY = "day"


CANONICAL = {
    Family.NUMBER: "numeric",
    Family.WORD: "text",
    Family.DAY: "timestamp without time zone",
}
"""The type that formulas compute in; every other type of the family goes there and back."""

TYPES = {
    Family.NUMBER: ("integer", "bigint", "numeric", "text", "character varying(40)"),
    Family.WORD: ("text", "character varying(40)", "character varying(80)"),
    Family.DAY: ("date", "timestamp without time zone", "text"),
}


class Formula(StrEnum):
    """How a column is made of an upstream column."""

    SAME = "same"
    PLUS = "plus"
    UPPER = "upper"
    LATER = "later"
    CONSTANT = "constant"
    COUNT = "count"
    SUM = "sum"
    MAX = "max"
    MIN = "min"

    @property
    def aggregate(self) -> bool:
        """Whether it makes one value of a group's many."""
        return self in {Formula.COUNT, Formula.SUM, Formula.MAX, Formula.MIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """A column of the table."""

    id: int
    name: str
    family: Family
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a view."""

    id: int
    name: str
    family: Family
    formula: Formula
    reads: int | None
    """The upstream column; None if it reads none."""
    number: int = 0
    """What PLUS and LATER add, and what CONSTANT is."""
    cast: str | None = None
    """Its type, where that is not what the formula yields."""


class Question(StrEnum):
    """What a condition asks of an upstream column; no answer leaves a view without rows."""

    MODULUS = "modulus"
    """Of the table's id: leaves out every seventh row."""
    UNEQUAL = "unequal"
    """To a number no row has."""
    KNOWN = "known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A view's WHERE."""

    question: Question
    reads: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index besides that of the key."""

    columns: tuple[int, ...]
    method: str = "btree"
    include: tuple[int, ...] = ()
    partial: bool = False
    """Whether it covers only rows where its first column is known."""
    fillfactor: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A managed view."""

    name: str
    columns: tuple[Column, ...]
    owner: str
    materialized: bool = False
    dimensions: frozenset[int] = frozenset()
    """Of a materialized view: the columns it groups by, which are its key."""
    condition: Condition | None = None
    comment: str | None = None
    grants: Mapping[str, frozenset[tuple[str, bool]]] = field(default_factory=dict)
    """Role → privileges, each with whether the role may pass it on."""
    indexes: tuple[Index, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    renamed_from: str | None = None

    def column(self, number: int) -> Column:
        """One of its columns."""
        return next(column for column in self.columns if column.id == number)

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the columns it groups by, in the order of its columns."""
        return tuple(column.name for column in self.columns if column.id in self.dimensions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """All of it, at one moment."""

    source: str
    source_columns: tuple[SourceColumn, ...]
    relations: tuple[Relation, ...]
    pinned: frozenset[int]
    """Columns that others rely on: they keep their names and are never dropped."""
    fixed: frozenset[int] = frozenset()
    """Positions of views that others call by name: they keep theirs."""
    owners: tuple[str, ...]
    """The roles a view may belong to."""
    guests: tuple[str, ...]
    """The roles whose privileges change."""
    next_id: int

    def upstream_name(self, position: int) -> str:
        """What the view at this position reads."""
        return self.relations[position - 1].name if position else self.source

    def upstream_columns(self, position: int) -> tuple[Column | SourceColumn, ...]:
        """The columns that the view at this position may read."""
        return self.relations[position - 1].columns if position else self.source_columns

    def upstream(self, position: int, number: int) -> Column | SourceColumn:
        """One of them."""
        columns = self.upstream_columns(position)
        return next(column for column in columns if column.id == number)

    def type_of(self, position: int, column: Column | SourceColumn) -> str:
        """A column's type, as `format_type` says it."""
        if isinstance(column, SourceColumn):
            return column.type
        if column.cast is not None:
            return column.cast
        if column.formula is Formula.SAME and column.reads is not None:
            return self.type_of(position - 1, self.upstream(position, column.reads))
        return CANONICAL[column.family]

    def shape(self, position: int) -> tuple[tuple[str, str], ...]:
        """The names and types of a view's columns, in order."""
        columns = self.relations[position].columns
        return tuple((column.name, self.type_of(position, column)) for column in columns)

    def put(self, position: int, relation: Relation) -> Self:
        """The chain with another view at this position."""
        relations = list(self.relations)
        relations[position] = relation
        return replace(self, relations=tuple(relations))


def surviving(chains: Collection[Chain]) -> dict[str, tuple[str, ...]]:
    """The relations, and of each the columns, that have the same names in all of these chains.

    They can be read before, while and after one chain becomes the other. A view that gets another
    name is not among them.
    """
    positions = range(min(len(chain.relations) for chain in chains))
    return dict(_surviving(chains, positions))


def _surviving(
    chains: Collection[Chain], positions: range
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for position in positions:
        relations = [chain.relations[position] for chain in chains]
        if len({relation.name for relation in relations}) == 1:
            first, *others = [[column.name for column in one.columns] for one in relations]
            kept = tuple(name for name in first if all(name in other for other in others))
            yield relations[0].name, kept
