"""What is left of the chain without one of its columns. Pure."""

import random
from dataclasses import replace

from tests.torture.chain import Chain, Column, Index, Relation


def without(chain: Chain, position: int, number: int, chance: random.Random) -> Chain | None:
    """The chain without a column of the view at a position; None if others rely on it.

    A column downstream that was made of it is made of another one of its family, or goes, too.
    """
    relation = chain.relations[position]
    if number in chain.pinned or len(relation.columns) == 1:
        return None
    gone = relation.column(number)
    chain = chain.put(position, _shorter(relation, number))
    if position + 1 == len(chain.relations):
        return chain
    below = chain.relations[position + 1]
    if below.condition is not None and below.condition.reads == number:
        chain = chain.put(position + 1, replace(below, condition=None))
    others = [
        column for column in chain.relations[position].columns if column.family is gone.family
    ]
    for column in below.columns:
        if column.reads == number:
            repointed = _made_of_another(chain, position + 1, column, others, chance)
            if repointed is None:
                return None
            chain = repointed
    return chain


def _made_of_another(
    chain: Chain, position: int, column: Column, others: list[Column], chance: random.Random
) -> Chain | None:
    """The chain where this column doesn't read what it read: one of the others, or it is gone."""
    needed = column.id in chain.pinned
    if others and (needed or chance.random() < 0.5):
        relation = chain.relations[position]
        other = replace(column, reads=chance.choice(others).id)
        columns = tuple(other if old.id == column.id else old for old in relation.columns)
        return chain.put(position, replace(relation, columns=columns))
    return without(chain, position, column.id, chance)


def _shorter(relation: Relation, number: int) -> Relation:
    shortened = [_index_without(index, number) for index in relation.indexes]
    # Of two with the same columns the first one stays: names are made of them.
    indexes = {index.columns: index for index in reversed(shortened) if index.columns}
    columns = tuple(column for column in relation.columns if column.id != number)
    return replace(
        relation,
        columns=columns,
        dimensions=relation.dimensions - {number},
        indexes=tuple(indexes.values()),
    )


def _index_without(index: Index, number: int) -> Index:
    def kept(numbers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(other for other in numbers if other != number)

    return replace(index, columns=kept(index.columns), include=kept(index.include))
