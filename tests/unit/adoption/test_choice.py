"""Which views are imported."""

import pytest

from refresher.adoption.choice import choose
from refresher.config.model import Kind
from refresher.errors import CatalogError
from refresher.names import RelationName

M, V = Kind.MATERIALIZED_VIEW, Kind.VIEW
CANDIDATES = {
    RelationName("crm", "sales"): M,
    RelationName("crm", "sales_v"): V,
    RelationName("public", "Odd"): M,
    RelationName("public", "a*"): V,
    RelationName("public", "sales"): M,
}


@pytest.mark.parametrize(
    ("wanted", "plain_views", "chosen"),
    [
        ([], False, ["crm.sales", 'public."Odd"', "public.sales"]),
        ([], True, [*map(str, CANDIDATES)]),
        (["sales"], False, ["crm.sales", "public.sales"]),
        (["public.sales"], False, ["public.sales"]),
        (["Odd"], False, ['public."Odd"']),
        (['public."Odd"'], False, ['public."Odd"']),
        (["sales_v"], False, ["crm.sales_v"]),
        (["crm.*"], False, ["crm.sales"]),
        (["crm.*"], True, ["crm.sales", "crm.sales_v"]),
        (["*sales*", "crm.sales_v"], False, ["crm.sales", "crm.sales_v", "public.sales"]),
        (["a*"], False, ['public."a*"']),
        (["[OP]dd", "?dd"], False, ['public."Odd"']),
    ],
)
def test_names_and_patterns(wanted: list[str], plain_views: bool, chosen: list[str]) -> None:  # noqa: FBT001 - a parameter of the test
    assert [*map(str, choose(CANDIDATES, wanted, plain_views=plain_views))] == chosen


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("sale", "no view is called 'sale'; did you mean crm.sales?"),
        ("zzz*", "no view is called 'zzz*'; use one of crm.sales, "),
        ("*_v", "no view is called '*_v'; "),
    ],
)
def test_what_means_nothing_is_answered_with_the_nearest(wanted: str, problem: str) -> None:
    with pytest.raises(CatalogError) as caught:
        choose(CANDIDATES, [wanted], plain_views=False)
    assert str(caught.value).startswith(problem)


def test_a_database_without_views() -> None:
    assert choose({}, [], plain_views=True) == []
    with pytest.raises(CatalogError, match="the database has no views"):
        choose({}, ["a"], plain_views=False)
