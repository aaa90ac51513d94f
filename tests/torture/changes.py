"""Random changes of the chain, as a user makes them in the definitions. Pure.

Every draw is from the `random.Random` that is given: a seed plays a change again, and hypothesis
can choose and shrink them. A change leaves the whole configuration valid: what used a dropped
column changes in the same edit.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from tests.torture import surface
from tests.torture.chain import (
    TYPES,
    Chain,
    Column,
    Condition,
    Family,
    Formula,
    Question,
    Relation,
    SourceColumn,
)
from tests.torture.dropping import without


class Change(StrEnum):
    """What an edit does to one view."""

    DROP_COLUMN = "drop column"
    RETYPE_COLUMN = "retype column"
    ADD_COLUMN = "add column"
    RENAME_COLUMN = "rename column"
    REORDER = "reorder columns"
    CONDITION = "change condition"
    REGROUP = "regroup"
    COMMENT = "comment"
    GRANTS = "grants"
    INDEXES = "indexes"
    OPTIONS = "options"
    OWNER = "owner"
    RENAME = "rename view"

    @property
    def breaking(self) -> bool:
        """Whether no CREATE OR REPLACE VIEW can do it."""
        return self in {Change.DROP_COLUMN, Change.RETYPE_COLUMN}


@dataclass(frozen=True, slots=True)
class Edit:
    """The chain after an edit, and what was done: one to three changes."""

    chain: Chain
    changes: tuple[tuple[Change, str], ...]
    """Each with the view it was begun at; views downstream may have changed with it."""

    @property
    def breaking(self) -> bool:
        """Whether a column was dropped or retyped."""
        return any(change.breaking for change, _ in self.changes)

    def __str__(self) -> str:
        return ", ".join(f"{change} of {view}" for change, view in self.changes)


Draw: TypeAlias = Callable[[Chain, int, random.Random], Chain | None]
"""Changes the view at a position; None if there is nothing to be changed so."""

_MOST = 3


def draw_edit(chain: Chain, chance: random.Random, *, applied: bool = True) -> Edit:
    """One edit of a user's, which always makes a difference.

    Where the one before may not have been applied, its renames stay as they are.
    """
    chain = _settled(chain) if applied else chain
    kinds = _draw_kinds(chance)
    if not applied:
        kinds.discard(Change.RENAME)
    edited, changes = chain, list[tuple[Change, str]]()
    # In their order: a column that was just added is not dropped again.
    for change in [one for one in Change if one in kinds]:
        positions = chance.sample(range(len(chain.relations)), len(chain.relations))
        for position in positions:
            drawn = _DRAWS[change][1](edited, position, chance)
            if drawn is not None:
                changes.append((change, chain.relations[position].name))
                edited = drawn
                break
    return Edit(edited, tuple(changes)) if changes else draw_edit(chain, chance, applied=applied)


def _draw_kinds(chance: random.Random) -> set[Change]:
    """One of a kind, for a second one might take the first one back."""
    weights = [weight for weight, _ in _DRAWS.values()]
    return set(chance.choices(list(_DRAWS), weights, k=chance.randint(1, _MOST)))


def _settled(chain: Chain) -> Chain:
    """What a user leaves of a rename once it is applied: nothing."""
    for position, relation in enumerate(chain.relations):
        chain = chain.put(position, replace(relation, renamed_from=None))
    return chain


def drop_column(chain: Chain, position: int, chance: random.Random) -> Chain | None:
    """Drop a column, and downstream what can't be made of another one."""
    columns = list(chain.relations[position].columns)
    chance.shuffle(columns)
    dropped = (without(chain, position, column.id, chance) for column in columns)
    return next((chain for chain in dropped if chain is not None), None)


def retype_column(chain: Chain, position: int, chance: random.Random) -> Chain | None:
    """Give a column another type; columns that pass it on get it, too."""
    relation = chain.relations[position]
    column = chance.choice(relation.columns)
    others = [kind for kind in TYPES[column.family] if kind != chain.type_of(position, column)]
    return chain.put(position, _with(relation, replace(column, cast=chance.choice(others))))


def add_column(chain: Chain, position: int, chance: random.Random) -> Chain:
    """Add a column, at the end or in between; half of the time views downstream pass it on."""
    relation = chain.relations[position]
    column = _new_column(chain, position, chance)
    at = (
        len(relation.columns) if chance.random() < 0.6 else chance.randint(0, len(relation.columns))
    )
    columns = (*relation.columns[:at], column, *relation.columns[at:])
    chain = replace(
        chain.put(position, replace(relation, columns=columns)), next_id=chain.next_id + 1
    )
    for below in range(position + 1, len(chain.relations)):
        if chance.random() < 0.5:
            break
        relation = chain.relations[below]
        formula = Formula.MAX if relation.materialized else Formula.SAME
        column = replace(column, id=chain.next_id, reads=column.id, formula=formula, cast=None)
        column = replace(column, name=_new_name(column.id, chance))
        chain = replace(
            chain.put(below, replace(relation, columns=(*relation.columns, column))),
            next_id=chain.next_id + 1,
        )
    return chain


def _new_column(chain: Chain, position: int, chance: random.Random) -> Column:
    source = chance.choice(chain.upstream_columns(position))
    materialized = chain.relations[position].materialized
    formula = chance.choice(list(_formulas(source, materialized=materialized)))
    alone = formula in {Formula.CONSTANT, Formula.COUNT}
    return Column(
        id=chain.next_id,
        name=_new_name(chain.next_id, chance),
        family=Family.NUMBER if alone else source.family,
        formula=formula,
        reads=None if alone else source.id,
        number=chance.randint(1, 9),
    )


def _formulas(source: Column | SourceColumn, *, materialized: bool) -> Iterator[Formula]:
    if materialized:
        yield from (Formula.MAX, Formula.MIN, Formula.COUNT)
        if source.family is Family.NUMBER:
            yield Formula.SUM
        return
    yield Formula.SAME
    match source.family:
        case Family.NUMBER:
            yield from (Formula.PLUS, Formula.CONSTANT)
        case Family.WORD:
            yield Formula.UPPER
        case Family.DAY:
            yield Formula.LATER


def _new_name(number: int, chance: random.Random) -> str:
    """A name no column ever had, now and then one that must be quoted."""
    return chance.choice(("c{}", "c{}", "Column {}", 'quote " {}', "größe_{}")).format(number)


def rename_column(chain: Chain, position: int, chance: random.Random) -> Chain | None:
    """Give a column another name."""
    relation = chain.relations[position]
    free = [column for column in relation.columns if column.id not in chain.pinned]
    if not free:
        return None
    column = replace(chance.choice(free), name=_new_name(chain.next_id, chance))
    return replace(chain.put(position, _with(relation, column)), next_id=chain.next_id + 1)


def reorder(chain: Chain, position: int, chance: random.Random) -> Chain | None:
    """Put the columns in another order."""
    relation = chain.relations[position]
    columns = list(relation.columns)
    chance.shuffle(columns)
    if tuple(columns) == relation.columns:
        return None
    return chain.put(position, replace(relation, columns=tuple(columns)))


def change_condition(chain: Chain, position: int, chance: random.Random) -> Chain | None:
    """Change the WHERE: give one, take it away, or have another."""
    relation = chain.relations[position]
    source = chance.choice(chain.upstream_columns(position))
    if source.name == "id" and isinstance(source, SourceColumn):
        question = Question.MODULUS
    elif source.family is Family.NUMBER:
        question = Question.UNEQUAL
    else:
        question = Question.KNOWN
    number = 0 if question is Question.KNOWN else chance.randint(0, 6)
    condition = Condition(question=question, reads=source.id, number=number)
    if relation.condition is not None and chance.random() < 0.3:
        return chain.put(position, replace(relation, condition=None))
    if condition == relation.condition:
        return None
    return chain.put(position, replace(relation, condition=condition))


def regroup(chain: Chain, position: int, chance: random.Random) -> Chain | None:
    """Group by one column more, or by one less; the key changes with it."""
    relation = chain.relations[position]
    free = [
        column
        for column in relation.columns
        if column.id not in chain.pinned
        and (column.id in relation.dimensions or column.formula in {Formula.MAX, Formula.MIN})
    ]
    if not free:
        return None
    column = chance.choice(free)
    formula = Formula.MAX if column.id in relation.dimensions else Formula.SAME
    relation = _with(relation, replace(column, formula=formula))
    return chain.put(
        position,
        replace(relation, dimensions=relation.dimensions.symmetric_difference([column.id])),
    )


def _with(relation: Relation, column: Column) -> Relation:
    """The view with another column in the place of that with the same number."""
    columns = tuple(column if old.id == column.id else old for old in relation.columns)
    return replace(relation, columns=columns)


_DRAWS: dict[Change, tuple[int, Draw]] = {
    Change.DROP_COLUMN: (5, drop_column),
    Change.RETYPE_COLUMN: (4, retype_column),
    Change.ADD_COLUMN: (4, add_column),
    Change.RENAME_COLUMN: (2, rename_column),
    Change.REORDER: (1, reorder),
    Change.CONDITION: (2, change_condition),
    Change.REGROUP: (1, regroup),
    Change.COMMENT: (1, surface.change_comment),
    Change.GRANTS: (1, surface.change_grants),
    Change.INDEXES: (2, surface.change_indexes),
    Change.OPTIONS: (1, surface.change_options),
    Change.OWNER: (1, surface.change_owner),
    Change.RENAME: (1, surface.rename_view),
}
