"""What a change may not touch: other people's things, OIDs, names of indexes. Pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from tests.torture.chain import Chain, Index
from tests.torture.history import Standing
from tests.torture.rendering import query
from tests.torture.scenario import AUDIT, AUDITED

Shape: TypeAlias = tuple[tuple[str, str], ...]


def lost(before: Standing, after: Standing, chains: Sequence[Chain]) -> Iterator[str]:
    """Every way in which more was changed than had to be.

    The chains are what was applied one after the other; the first one is that of `before`.
    """
    for what in sorted(after.everything - before.everything):
        yield f"{what} was left over"
    for what in sorted(before.everything - after.everything):
        yield f"{what} is gone"
    for what, fact in before.facts.items():
        if after.facts.get(what) != fact:
            yield f"{what}: {after.facts.get(what)} instead of {fact}"
    yield from _lost_oids(before, after, chains)
    yield from _lost_index_names(before, after, chains)


def _lost_oids(before: Standing, after: Standing, chains: Sequence[Chain]) -> Iterator[str]:
    old, new = chains[0], chains[-1]
    for position, (was, is_now) in enumerate(zip(old.relations, new.relations, strict=True)):
        if was.materialized or before.oids[was.name] == after.oids.get(is_now.name):
            continue
        if may_stay(chains, position):
            yield f"{is_now.name} could have kept its OID"
    types = {_audited_types(chain) for chain in chains}
    if len(types) == 1 and before.oids.get(AUDIT) != after.oids.get(AUDIT):
        yield f"{AUDIT} could have kept its OID"


def may_stay(chains: Sequence[Chain], position: int) -> bool:
    """Whether a plain view can be the same object in all of these chains.

    A materialized view that is built anew reads what is new from the beginning, and can't be
    re-pointed afterwards: of what it reads, nothing that changes can stay.
    """
    if not any(_changes(chains, above) for above in range(position + 1)):
        return True
    shapes = [chain.shape(position) for chain in chains]
    return all(is_replaceable(one, other) for one, other in pairwise(shapes)) and not any(
        chains[0].relations[below].materialized
        and any(_changes(chains, between) for between in range(position + 1, below + 1))
        for below in range(position + 1, len(chains[0].relations))
    )


def _changes(chains: Sequence[Chain], position: int) -> bool:
    return len({(query(chain, position), chain.shape(position)) for chain in chains}) > 1


def is_replaceable(one: Shape, other: Shape) -> bool:
    """Whether CREATE OR REPLACE VIEW can do it: it adds columns at the end, and drops none."""
    return other[: len(one)] == one


def _audited_types(chain: Chain) -> tuple[str, ...]:
    return tuple(
        chain.type_of(position, chain.relations[position].column(number))
        for position, number in AUDITED
    )


def _lost_index_names(before: Standing, after: Standing, chains: Sequence[Chain]) -> Iterator[str]:
    """An index that nobody changed, of a view that has the name it had, has the name it had.

    Unless it is still called after what the view was called before.
    """
    for versions in zip(*(chain.relations for chain in chains), strict=True):
        names = {(version.name, *sorted(map(_named, version.indexes))) for version in versions}
        if len(names) > 1:
            continue
        for (view, body), name in before.indexes.items():
            other = after.indexes.get((view, body), name)
            called = name.startswith(view) or name in map(_named, versions[0].indexes)
            if view == versions[0].name and called and other != name:
                yield f"index {name} of {view} is now {other}"


def _named(index: Index) -> str:
    return index.name or ""
