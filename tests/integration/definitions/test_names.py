from collections.abc import Callable
from dataclasses import replace

import pytest

from refresher.config.model import Index
from tests.integration.definitions.conftest import PLAIN, Workbench

HOSTILE = (
    'quo"te',
    "it's",
    "Größe €",
    "select",
    "x" * 63,
    "ä" * 31,
    "a.b",
    "100%s {0}",
    "; DROP TABLE t --",
    "back\\slash",
    " ",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_too_strange(
    workbench: Workbench, make_role: Callable[..., str], name: str
) -> None:
    reader = make_role("reader")
    schema = workbench.connection.execute("SELECT quote_ident(%s) AS q", [name]).fetchall()[0]["q"]
    workbench.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.t ({schema} int)")
    relation = replace(workbench.define("v", "").relation, schema=name, name=name)
    workbench.define(
        "v",
        f"SELECT {schema}, {schema} AS other FROM {schema}.t",
        relation=relation,
        key=(name,),
        indexes=(
            Index(columns=("other", name), include=(name,)),
            Index(columns=("other",), name=f"{name[:30]}i"),
        ),
        grants={reader: ("select",)},
        comment=name,
    )

    assert len(workbench.apply_well()) == 5
    assert workbench.apply_well() == []
    assert len(workbench.relations()) == 5

    workbench.redefine("v", query=f"SELECT {schema}, {schema} + 1 AS other FROM {schema}.t")
    before = set(workbench.relations())
    assert workbench.apply_well() == [("swap", "v")]
    assert set(workbench.relations()) == before
    stands = f"{schema}.{schema}"
    assert workbench.one("SELECT obj_description(%s::regclass)", stands) == name
    assert workbench.one("SELECT has_table_privilege(%s, %s, 'SELECT')", reader, stands)


def test_a_view_may_be_called_like_a_type(workbench: Workbench) -> None:
    names = ("date", "text", "name", "oid", "money", "jsonb")
    for name in names:
        workbench.define(name, "SELECT 1 AS id, '2020-01-01'::date AS at, 'a'::text AS b", PLAIN)
    workbench.define("reader", "SELECT money.id, date.at FROM money, date", key=("id",))
    workbench.apply_well()
    assert workbench.apply_well() == []

    workbench.redefine("money", query="SELECT 1 AS id, 2::money AS worth")
    workbench.redefine("reader", query="SELECT money.id, worth, date.at FROM money, public.date")

    assert workbench.apply_well() == [("swap", "money", "reader")]
