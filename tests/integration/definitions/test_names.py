from collections.abc import Callable
from dataclasses import replace

import pytest

from refresher.config.model import Index
from tests.integration.definitions.conftest import Workbench

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
