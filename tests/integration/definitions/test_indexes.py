import pytest

from refresher.config.model import Index
from refresher.definitions.compare import Aspect
from tests.integration.definitions.conftest import Workbench

INDEXES = {
    "key": Index(columns=("id",), unique=True),
    "several": Index(columns=("name", "id")),
    "expression": Index(expression="lower(name)"),
    "partial": Index(columns=("id",), where="name IS NOT NULL AND id > 5"),
    "covering": Index(columns=("id",), include=("name", "tags")),
    "gin": Index(columns=("tags",), method="gin"),
    "brin": Index(columns=("id",), method="brin"),
    "hash": Index(columns=("name",), method="hash"),
    "all": Index(
        expression="lower(name)", unique=True, where="id > 0", include=("id",), name="Every thing"
    ),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_every_kind_of_index_is_made_once(workbench: Workbench, index: Index) -> None:
    query = "SELECT n AS id, 'x' || n AS name, ARRAY[n] AS tags FROM generate_series(1, 9) AS n"
    workbench.define("v", query, indexes=(index,))
    name = index.name or next(iter(workbench.simulate().desired["v"].indexes))

    assert workbench.apply_one("v").done[2:] == (f"index {name}", "analyzed")

    before = workbench.catalog()
    assert workbench.apply_one("v").done == ()
    assert workbench.catalog() == before


def test_an_index_that_somebody_named_otherwise_will_do(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS id, 'a' AS name; ANALYZE v;"
        " CREATE UNIQUE INDEX mine ON v (id); CREATE INDEX too ON v USING btree (lower(name))"
    )
    workbench.define(
        "v",
        "SELECT 1 AS id, 'a' AS name",
        key=("id",),
        indexes=(Index(expression="LOWER( name )"),),
    )

    applied = workbench.apply_one("v")

    assert (applied.done, applied.drift) == ((), ())


def test_two_definitions_of_one_index_make_one(workbench: Workbench) -> None:
    twin = Index(columns=("id",), unique=True, name="twin")
    workbench.define("v", "SELECT 1 AS id", key=("id",), indexes=(twin,))

    assert workbench.apply_one("v").done[2:] == ("index v_id_key", "analyzed")
    assert workbench.apply_one("v").done == ()


def test_another_index_of_that_name_is_told_and_left(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS id, 2 AS other; CREATE INDEX i ON v (other)"
    )
    workbench.define("v", "SELECT 1 AS id, 2 AS other", indexes=(Index(columns=("id",), name="i"),))

    applied = workbench.apply_one("v")

    (found,) = applied.drift
    assert applied.error is None
    assert found.aspect is Aspect.INDEXES
    assert found.message == "index i (USING btree (id)): another one stands: USING btree (other)"


def test_an_index_whose_name_another_table_has_is_told(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE other (id int); CREATE INDEX i ON other (id)")
    workbench.define("v", "SELECT 1 AS id", indexes=(Index(columns=("id",), name="i"),))

    applied = workbench.apply_one("v")

    assert applied.error == (
        "the index 'i' can't be created: relation \"i\" already exists; rename what has its name"
    )


def test_a_duplicate_key_is_told_and_keeps_nobody_else(workbench: Workbench) -> None:
    workbench.define("doubled", "SELECT 1 AS id FROM generate_series(1, 2)", key=("id",))
    workbench.define("fine", "SELECT 1 AS id", key=("id",))

    applied = workbench.apply()

    assert applied["doubled"].error == 'could not create unique index "doubled_id_key"'
    assert applied["doubled"].done[0] == "created"
    assert applied["fine"].error is None
