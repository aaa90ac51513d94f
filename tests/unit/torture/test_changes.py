"""Whatever is drawn, the chain stays whole: names are distinct, nothing reads what is gone."""

import json
import random
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from refresher.config.load import load_config
from tests.project import Project
from tests.torture import rendering, scenario
from tests.torture.chain import TYPES, Chain, surviving
from tests.torture.changes import Change, Edit, draw_edit

ROLES = scenario.Roles(
    reader="reader",
    owners=("one", "other"),
    house="house",
    guests=("guest", "visitor"),
    stranger="stranger",
)


def draw(chance: random.Random, count: int) -> list[Edit]:
    edits = []
    chain = scenario.begin(ROLES)
    for _ in range(count):
        edits.append(draw_edit(chain, chance))
        chain = edits[-1].chain
    return edits


def require_whole(chain: Chain) -> None:
    names = [relation.name for relation in chain.relations]
    assert len(set(names)) == len(names)
    numbers = [column.id for relation in chain.relations for column in relation.columns]
    assert len(set(numbers)) == len(numbers)
    assert chain.pinned <= set(numbers)
    for position, relation in enumerate(chain.relations):
        own = {column.id for column in relation.columns}
        readable = {column.id: column for column in chain.upstream_columns(position)}
        assert len({column.name for column in relation.columns}) == len(own) > 0
        assert len(relation.name.encode()) <= 63
        assert bool(relation.dimensions) == relation.materialized
        assert relation.dimensions <= own
        for column in relation.columns:
            assert chain.type_of(position, column) in TYPES[column.family]
            if column.reads is not None:
                assert readable[column.reads].family is column.family
            if relation.materialized:
                assert column.formula.aggregate == (column.id not in relation.dimensions)
        for index in relation.indexes:
            assert index.columns
            assert own.issuperset(index.columns + index.include)
        if relation.condition is not None:
            assert relation.condition.reads in readable


@settings(deadline=None, max_examples=50)
@given(chance=st.randoms(use_true_random=True))
def test_an_edit_leaves_the_chain_whole_and_makes_a_difference(chance: random.Random) -> None:
    edits = draw(chance, 20)
    for edit in edits:
        require_whole(edit.chain)
    chains = [scenario.begin(ROLES), *(edit.chain for edit in edits)]
    for before, after in pairwise(chains):
        assert texts(before) != texts(after)


def texts(chain: Chain) -> str:
    return json.dumps(rendering.config(chain), sort_keys=True)


def test_every_configuration_is_valid(tmp_path: Path) -> None:
    for edit in draw(random.Random(3), 25):  # noqa: S311 - a draw to be repeated
        Project(tmp_path).configure(rendering.config(edit.chain))
        config = load_config(tmp_path / "config.yaml", {"DATABASE_URL": "dbname=crm"})
        assert list(config.views) == [relation.name for relation in edit.chain.relations]


def test_what_others_rely_on_can_be_read_through_every_change() -> None:
    chance = random.Random(1)  # noqa: S311 - a draw to be repeated
    edits = draw(chance, 100)
    for before, after in pairwise(edit.chain for edit in edits):
        kept = surviving([before, after])
        assert kept["customer_ranks"]
        for name, columns in kept.items():
            for chain in (before, after):
                (relation,) = (one for one in chain.relations if one.name == name)
                assert set(columns) <= {column.name for column in relation.columns}


def test_every_kind_of_change_is_made_and_a_third_of_the_edits_drop_or_retype() -> None:
    edits = draw(random.Random(2), 300)  # noqa: S311 - a draw to be repeated
    made = {change for edit in edits for change, _ in edit.changes}
    assert made == set(Change)
    assert sum(edit.breaking for edit in edits) > 0.4 * len(edits)
