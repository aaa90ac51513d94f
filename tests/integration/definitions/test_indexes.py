import psycopg
import pytest

from refresher.config.model import Index
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

    assert workbench.apply_well() == [("create", "v"), ("populate", "v"), ("index", "v")]

    before = workbench.catalog()
    assert len(workbench.relations()) == 2
    assert workbench.one("SELECT count(*) FROM pg_class WHERE relname = %s", name) == 1
    assert workbench.apply_well() == []
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

    assert workbench.apply_well() == []
    assert workbench.plan().notes == ()


def test_two_definitions_of_one_index_make_one(workbench: Workbench) -> None:
    twins = (Index(expression="(id)", unique=True, name="one"), Index(columns=("id",), unique=True))
    workbench.define("v", "SELECT 1 AS id", indexes=twins)

    assert workbench.apply_well() == [("create", "v"), ("populate", "v"), ("index", "v")]
    assert workbench.relations().keys() == {"v", "one"}
    assert workbench.apply_well() == []


def test_an_index_whose_name_another_table_has_is_told(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE other (id int); CREATE INDEX i ON other (id)")
    workbench.define("v", "SELECT 1 AS id", indexes=(Index(columns=("id",), name="i"),))

    told = "the index 'i' can't be created: relation \"i\" already exists; rename what has its name"
    assert workbench.errors() == {"v": told}


def test_a_duplicate_key_is_told_and_keeps_nobody_else(workbench: Workbench) -> None:
    workbench.define("doubled", "SELECT 1 AS id FROM generate_series(1, 2)", key=("id",))
    workbench.define("fine", "SELECT 1 AS id", key=("id",))

    assert workbench.errors() == {
        "doubled": "rows of doubled repeat in what index doubled_id_key wants unique"
        " (USING btree (id)): correct the query, or the key"
    }

    assert set(workbench.relations()) == {"doubled", "fine", "fine_id_key"}
    assert workbench.kinds() == [("index", "doubled")]


def test_an_index_is_replaced_under_its_name(workbench: Workbench) -> None:
    workbench.define("v", "SELECT 1 AS id", indexes=(Index(columns=("id",), name="i"),))
    workbench.apply_well()
    oid = workbench.one("SELECT 'v'::regclass::oid::int8")
    workbench.redefine("v", indexes=(Index(columns=("id",), method="hash", name="i"),))

    assert workbench.apply_well() == [("index", "v")]

    definition = workbench.one("SELECT pg_get_indexdef('i'::regclass)")
    assert definition == "CREATE INDEX i ON public.v USING hash (id)"
    assert workbench.relations() == {"v": "m", "i": "i"}
    assert workbench.one("SELECT 'v'::regclass::oid::int8") == oid


def test_what_is_left_of_an_index_that_was_cut_off_is_replaced(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t AS SELECT 1 AS id FROM generate_series(1, 2)")
    workbench.define("v", "SELECT id FROM t")
    workbench.apply_well()
    with pytest.raises(psycopg.errors.UniqueViolation):
        workbench.execute("CREATE UNIQUE INDEX CONCURRENTLY v_id_key ON v (id)")
    assert "v_id_key" in workbench.relations()

    workbench.redefine("v", key=("id",))
    assert workbench.errors().keys() == {"v"}
    assert "v_id_key" not in workbench.relations()
    workbench.execute("TRUNCATE t; INSERT INTO t VALUES (1); REFRESH MATERIALIZED VIEW v")

    assert workbench.apply_well() == [("index", "v")]
    assert "v_id_key" in workbench.relations()


def test_an_index_that_nobody_configured_stays_until_it_is_pruned(workbench: Workbench) -> None:
    workbench.define("v", "SELECT 1 AS id", indexes=(Index(columns=("id",), name="i"),))
    workbench.apply_well()
    workbench.redefine("v", indexes=())

    assert workbench.apply_well() == []
    assert "v: index i stands and is not configured; it stays" in workbench.plan().notes
    workbench.redefine("v", query="SELECT 2 AS id")
    assert workbench.apply_well() == [("swap", "v")]
    assert "i" in workbench.relations()
    assert workbench.apply_well(prune=True) == [("drop index", "v")]
    assert workbench.relations() == {"v": "m"}


def test_a_name_for_an_index_that_something_else_has_keeps_the_old_view(
    workbench: Workbench,
) -> None:
    workbench.define("v", "SELECT 1 AS id")
    workbench.apply_well()
    workbench.execute("CREATE TABLE taken (id int); CREATE TABLE refresher_taken_beside (id int)")
    before = workbench.relations()

    index = Index(columns=("id",), name="taken")
    workbench.define("v", "SELECT 2 AS id", indexes=(index,))

    assert list(workbench.errors()) == ["v"]
    assert workbench.relations() == before
    assert workbench.execute("SELECT id FROM v") == [(1,)]
    workbench.execute("DROP TABLE taken")
    assert workbench.apply_well() == [("swap", "v")]
    assert workbench.relations() == {"v": "m", "taken": "i", "refresher_taken_beside": "r"}
