"""Which views have to stay the same objects when definitions change."""

from dataclasses import replace

import pytest

from tests.torture import scenario
from tests.torture.chain import Chain
from tests.torture.keeping import may_stay
from tests.unit.torture.test_changes import ROLES


def retyped(chain: Chain, position: int, number: int) -> Chain:
    relation = chain.relations[position]
    columns = tuple(
        replace(column, cast="text") if column.id == number else column
        for column in relation.columns
    )
    return chain.put(position, replace(relation, columns=columns))


@pytest.mark.parametrize(
    ("position", "number", "staying"),
    [
        (0, 15, {2, 4}),
        (1, 25, {0, 2, 4}),
        (2, 33, {0, 4}),
        (3, 42, {0, 2}),
        (4, 52, {0, 2}),
    ],
)
def test_what_is_not_touched_by_a_retyped_column_stays(
    position: int, number: int, staying: set[int]
) -> None:
    before = scenario.begin(ROLES)
    after = retyped(before, position, number)
    plain = {0, 2, 4}
    assert {one for one in plain if may_stay([before, after], one)} == staying
