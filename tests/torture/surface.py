"""Random changes of what surrounds a query: comment, grants, indexes, options, names. Pure."""

import random
from collections.abc import Sequence
from dataclasses import replace

from tests.torture.chain import Chain, Index, Relation

_NAME_BYTES = 63
_PRIVILEGES = ("select", "insert", "update", "delete", "references", "trigger")
_METHODS = ("btree", "btree", "hash", "brin")
_COMMENTS = (
    "In version {}",
    "Version {}: 'quoted', \"doubly\", $body$ and \\ all",
    "Fassung {}:\n  zwei Zeilen für größere Häuser — 🏠",
)
_OPTIONS: dict[bool, tuple[dict[str, str], ...]] = {
    True: ({}, {"fillfactor": "70"}, {"fillfactor": "90", "autovacuum_enabled": "false"}),
    False: ({}, {"security_barrier": "true"}, {"security_barrier": "false"}),
}
"""By whether the view is materialized."""


def change_comment(chain: Chain, position: int, chance: random.Random) -> Chain:
    """Say something new."""
    comment = chance.choice(_COMMENTS).format(chain.next_id)
    chain = replace(chain, next_id=chain.next_id + 1)
    return chain.put(position, replace(chain.relations[position], comment=comment))


def change_grants(chain: Chain, position: int, chance: random.Random) -> Chain | None:
    """Give one of the guests other privileges, or none; some may be passed on."""
    relation = chain.relations[position]
    guest = chance.choice(chain.guests)
    given = frozenset(
        (privilege, chance.random() < 0.3)
        for privilege in chance.sample(_PRIVILEGES, chance.randint(0, 3))
    )
    if given == relation.grants.get(guest, frozenset()):
        return None
    grants = {role: had for role, had in relation.grants.items() if role != guest}
    if given:
        grants[guest] = given
    return chain.put(position, replace(relation, grants=grants))


def change_owner(chain: Chain, position: int, chance: random.Random) -> Chain:
    """Let it belong to somebody else."""
    relation = chain.relations[position]
    others = [owner for owner in chain.owners if owner != relation.owner]
    return chain.put(position, replace(relation, owner=chance.choice(others)))


def change_options(chain: Chain, position: int, chance: random.Random) -> Chain:
    """Give it other storage parameters, or none."""
    relation = chain.relations[position]
    others = [one for one in _OPTIONS[relation.materialized] if one != relation.options]
    return chain.put(position, replace(relation, options=chance.choice(others)))


def rename_view(chain: Chain, position: int, chance: random.Random) -> Chain | None:
    """Give it another name, now and then one as long as PostgreSQL allows."""
    relation = chain.relations[position]
    if position in chain.fixed:
        return None
    stem, _, _ = relation.name.partition("__")
    name = f"{stem}__{chain.next_id}"
    if chance.random() < 0.3:
        name = f"{name}_".ljust(_NAME_BYTES, "x")
    renamed = replace(relation, name=name, renamed_from=relation.name)
    return replace(chain.put(position, renamed), next_id=chain.next_id + 1)


def change_indexes(chain: Chain, position: int, chance: random.Random) -> Chain | None:
    """Create an index, drop one, or change one."""
    relation = chain.relations[position]
    if not relation.materialized:
        return None
    chain = replace(chain, next_id=chain.next_id + 1)
    indexes = list(relation.indexes)
    what = chance.random()
    if indexes and what < 0.6:
        indexes.remove(chance.choice(indexes))
    if not indexes or what > 0.3:
        indexes.append(_new_index(relation, chain.next_id, chance))
    if _bodies(indexes) == _bodies(relation.indexes) or not _are_distinct(indexes):
        return None
    return chain.put(position, replace(relation, indexes=tuple(indexes)))


def _new_index(relation: Relation, number: int, chance: random.Random) -> Index:
    method = chance.choice(_METHODS)
    most = 1 if method == "hash" else min(3, len(relation.columns))
    columns = [column.id for column in relation.columns]
    keys = chance.sample(columns, chance.randint(1, most))
    rest = [column for column in columns if column not in keys]
    includes = rest and method == "btree" and chance.random() < 0.2
    return Index(
        columns=tuple(keys),
        method=method,
        include=(chance.choice(rest),) if includes else (),
        partial=chance.random() < 0.2,
        fillfactor=chance.choice((60, 80)) if method == "btree" and chance.random() < 0.3 else None,
        name=f"by hand {number}" if chance.random() < 0.2 else None,
    )


def _bodies(indexes: Sequence[Index]) -> set[Index]:
    return {replace(index, name=None) for index in indexes}


def _are_distinct(indexes: Sequence[Index]) -> bool:
    """Whether no two would get one name of refresher's making."""
    return len({index.columns for index in indexes}) == len(indexes)
