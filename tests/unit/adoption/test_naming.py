"""Names for views that had none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.adoption.naming import name_views
from refresher.config.parsing import check_handle
from refresher.names import NAME_BYTES, RelationName

_NAMES = st.text(
    st.sampled_from('aA_ ./-$%{}"\n\u00e9\u4e00\U0001f600\u2028'), min_size=1, max_size=70
).filter(lambda name: len(name.encode()) <= NAME_BYTES)
_RELATIONS = st.lists(st.builds(RelationName, _NAMES, _NAMES), max_size=8, unique=True)


@pytest.mark.parametrize(
    ("relations", "names"),
    [
        (["public.a", "crm.b"], ["a", "b"]),
        (["crm.a", "public.a", "erp.a"], ["crm_a", "a", "erp_a"]),
        (["crm.a", "erp.a"], ["a", "erp_a"]),
        (["public.Orders", "public.orders"], ["Orders", "public_orders"]),
        (['public."a/b"', 'public."a_b"'], ["a_b", "public_a_b"]),
        (['public." .-x "', 'public."${A}"', 'public."$a"'], ["x", "_{A}", "$a"]),
        (['public."..."', 'public."/"'], ["view", "_"]),
    ],
)
def test_names(relations: list[str], names: list[str]) -> None:
    parsed = [RelationName.parse(text) if '"' in text else RelationName(*text.split("."))
              for text in relations]  # fmt: skip
    given = name_views(parsed, ())
    assert [given[relation] for relation in parsed] == names


def test_a_name_that_is_taken() -> None:
    relation = RelationName("public", "sales")
    assert name_views([relation], ["Sales"]) == {relation: "public_sales"}
    last = name_views([relation], ["sales", "public_sales"])[relation]
    assert last.startswith("sales_")
    assert last not in {"sales", "public_sales"}


@given(relations=_RELATIONS, taken=st.sets(_NAMES, max_size=3))
def test_any_names_are_distinct_and_good(relations: list[RelationName], taken: set[str]) -> None:
    names = name_views(relations, taken)
    assert names.keys() == set(relations)
    for name in names.values():
        assert check_handle(name) == name
        assert "${" not in name
    folded = [name.casefold() for name in [*names.values(), *taken]]
    assert len({*folded}) == len(relations) + len({name.casefold() for name in taken})
