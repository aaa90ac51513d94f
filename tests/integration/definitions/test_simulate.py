import psycopg
import pytest

from refresher.config.model import Index, Kind
from refresher.definitions import index_statements, statements
from refresher.errors import ConfigError, PlanError
from refresher.names import RelationName
from tests.integration.definitions.conftest import PLAIN, Workbench


def faults(workbench: Workbench) -> list[str]:
    """What PostgreSQL refuses, having changed nothing."""
    before = workbench.catalog()
    with pytest.raises(ConfigError) as caught:
        workbench.simulate()
    assert workbench.catalog() == before
    return str(caught.value).splitlines()


def test_a_simulation_changes_nothing(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t (id int); CREATE VIEW stands AS SELECT id FROM t")
    workbench.define("missing", "SELECT id FROM stands", key=("id",))
    workbench.define("stands", "SELECT id FROM t", PLAIN)
    before = workbench.catalog()

    simulation = workbench.simulate()

    assert workbench.catalog() == before
    assert simulation.order == ("stands", "missing")
    assert simulation.standing["missing"] is None
    assert simulation.desired["missing"].columns == (("id", "integer"),)
    assert list(simulation.desired["missing"].indexes) == ["missing_id_key"]
    assert not simulation.desired["missing"].populated


def test_no_definitions_are_in_order(workbench: Workbench) -> None:
    assert workbench.simulate().order == ()


def test_an_order_follows_the_definitions_not_what_stands(workbench: Workbench) -> None:
    workbench.execute("CREATE VIEW a AS SELECT 1 AS id; CREATE VIEW b AS SELECT id FROM a")
    workbench.define("a", "SELECT id FROM c", PLAIN)
    workbench.define("b", "SELECT id FROM a", PLAIN)
    workbench.define("c", "SELECT 1 AS id", PLAIN)

    assert workbench.simulate().order == ("c", "a", "b")


@pytest.mark.parametrize("stands", [False, True])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    ("query", "line", "told"),
    [
        ("SELECT id\nFROM t\nWHERE id = = 1", ":3", 'syntax error at or near "="'),
        ("SELECT id\nFROM t\nWHERE id IN (\n1,, 2)", ":4", 'syntax error at or near ","'),
        ("SELECT\n  id,\n  nam\nFROM t", ":3", 'column "nam" does not exist (Perhaps you meant'),
        ("-- é\nSELECT\n  missing(id) FROM t", ":3", "function missing(integer) does not exist"),
        ("SELECT id\nFROM\n\n tt", ":4", 'relation "tt" does not exist'),
        ("SELECT id FROM t\nJOIN nowhere.tt USING (id)", ":2", 'relation "nowhere.tt" does not'),
        ("SELECT o.id\nFROM t", ":1", 'missing FROM-clause entry for table "o"'),
        ("SELECT id\nFROM t GROUP BY name", ":1", 'column "t.id" must appear in the GROUP BY'),
        ("SELECT id, id FROM t", "", 'column "id" specified more than once'),
        ("SELECT id::missing\nFROM t", ":1", 'type "missing" does not exist'),
    ],
)
def test_what_postgresql_refuses_is_told_with_its_line(
    workbench: Workbench, query: str, line: str, told: str, kind: Kind, *, stands: bool
) -> None:
    workbench.execute("CREATE TABLE t (id int, name text)")
    relation = RelationName("public", "a_name_much_longer_than_the_query_is")
    if stands:
        word = "MATERIALIZED VIEW" if kind is Kind.MATERIALIZED_VIEW else "VIEW"
        workbench.execute(f"CREATE {word} {relation.name} AS SELECT 1 AS id")
    workbench.define("v", query, kind, relation=relation)

    (fault,) = faults(workbench)

    where, _, message = fault.partition(": ")
    assert where == f"sql/v.sql{line}"
    assert message.startswith(f"PostgreSQL refuses the definition of 'v': {told}")


def test_every_fault_is_told_once_and_no_victim_is(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t (id int)")
    workbench.define("bad", "SELECT mistake FROM t", PLAIN)
    workbench.define("reader", "SELECT * FROM bad", PLAIN)
    workbench.define("readers_reader", "SELECT * FROM reader")
    workbench.define("lost", "SELECT * FROM nothing")
    workbench.define("losts_reader", "SELECT * FROM lost JOIN t USING (id)")
    workbench.define("fine", "SELECT id FROM t")
    workbench.define("indexed", "SELECT id FROM t", indexes=(Index(columns=("nme",)),))

    told = faults(workbench)

    assert [fault.partition(":")[0] for fault in told] == [
        "sql/bad.sql",
        "sql/indexed.sql",
        "sql/lost.sql",
    ]
    assert "refuses the index 'indexed_nme_idx' of 'indexed': column \"nme\" does not" in told[1]


def test_a_view_that_stands_may_lose_what_it_reads(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE VIEW stands AS SELECT 1 AS id; CREATE VIEW top AS SELECT * FROM stands"
    )
    workbench.define("stands", "SELECT id\nFROM gone", PLAIN)
    workbench.define("top", "SELECT id FROM stands", PLAIN)

    (fault,) = faults(workbench)

    assert fault.startswith("sql/stands.sql:2: PostgreSQL refuses")


@pytest.mark.parametrize(
    ("reads", "path"),
    [
        ({"a": "a"}, "a → a"),
        ({"a": "b", "b": "a"}, "a → b → a"),
        ({"c": "a", "b": "c", "a": "b", "beside": "c"}, "a → b → c → a"),
    ],
)
def test_a_circle_is_named(workbench: Workbench, reads: dict[str, str], path: str) -> None:
    workbench.define("fine", "SELECT 1 AS id", PLAIN)
    for name, read in reads.items():
        workbench.define(name, f"SELECT id FROM {read} JOIN fine USING (id)", PLAIN)
    before = workbench.catalog()

    with pytest.raises(PlanError, match=f"can't be put in order: {path}$") as caught:
        workbench.simulate()

    assert caught.value.exit_code == 2
    assert workbench.catalog() == before


@pytest.mark.parametrize("standing", [("a",), ("b",), ("a", "b")])
def test_a_circle_is_found_though_some_of_it_stands(
    workbench: Workbench, standing: tuple[str, ...]
) -> None:
    for name in standing:
        workbench.execute(f"CREATE VIEW {name} AS SELECT 1 AS id")
    workbench.define("a", "SELECT id FROM b", PLAIN)
    workbench.define("b", "SELECT id FROM a", PLAIN)

    with pytest.raises(PlanError, match="a → b → a"):
        workbench.simulate()


def test_a_view_that_stands_may_not_come_to_read_itself(workbench: Workbench) -> None:
    workbench.execute("CREATE MATERIALIZED VIEW v AS SELECT 1 AS id")
    workbench.define("v", "SELECT id FROM v")

    with pytest.raises(PlanError, match="v → v"):
        workbench.simulate()


INJECTIONS = (
    "SELECT 1 AS id; DROP TABLE victim",
    "SELECT 1 AS id; DROP TABLE victim; --",
    "SELECT 1 AS id WITH NO DATA; DROP TABLE victim; CREATE VIEW w AS SELECT 1 AS id",
    "DROP TABLE victim",
    "DELETE FROM victim RETURNING id",
    "WITH gone AS (DELETE FROM victim RETURNING id) SELECT id FROM gone",
    "COMMIT",
    "SELECT 1 AS id INTO stolen",
    "COPY victim TO PROGRAM 'true'",
    "EXECUTE anything",
    "SELECT $1 AS id",
    "",
)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("query", INJECTIONS)
def test_a_definition_is_one_query_even_if_nobody_looked(
    workbench: Workbench, query: str, kind: Kind
) -> None:
    workbench.execute("CREATE TABLE victim AS SELECT 1 AS id")
    workbench.define("v", query, kind)

    (fault,) = faults(workbench)

    assert fault.startswith("sql/v.sql")
    assert workbench.execute("SELECT id FROM victim") == [(1,)]


@pytest.mark.parametrize(
    "index",
    [
        Index(expression="id); DROP TABLE victim; --", name="i"),
        Index(columns=("id",), where="true; DROP TABLE victim", name="i"),
        Index(expression="(SELECT 1)", name="i"),
        Index(columns=("id",), method="nothing", name="i"),
    ],
)
def test_an_index_is_one_statement_even_if_nobody_looked(
    workbench: Workbench, index: Index
) -> None:
    workbench.execute("CREATE TABLE victim AS SELECT 1 AS id")
    view = workbench.define("v", "SELECT 1 AS id", indexes=(index,))

    (fault,) = faults(workbench)

    assert fault.startswith("sql/v.sql: PostgreSQL refuses the index 'i' of 'v': ")
    workbench.execute("CREATE MATERIALIZED VIEW v AS SELECT 1 AS id")
    with pytest.raises(psycopg.Error):
        statements.execute_one(
            workbench.connection, index_statements.create_index(index, "i", view.relation)
        )
    assert workbench.execute("SELECT id FROM victim") == [(1,)]


def test_what_is_no_definitions_fault_is_not_told_as_one(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t (id int)")
    workbench.define("v", "SELECT id FROM t")
    name = workbench.database.name
    workbench.execute(f"ALTER DATABASE {name} SET lock_timeout = '50ms'")

    with workbench.connection.transaction():
        workbench.execute("LOCK TABLE t")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            workbench.simulate()

    assert workbench.simulate().order == ("v",)


def test_definitions_are_read_the_same_whatever_the_search_path_is(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE SCHEMA crm; CREATE TABLE crm.t (id int);"
        " CREATE TYPE crm.mood AS ENUM ('well');"
        f" ALTER DATABASE {workbench.database.name} SET search_path = crm, public"
    )
    workbench.define(
        "v", "SELECT id, 'well'::mood AS mood FROM t", indexes=(Index(columns=("mood",)),)
    )
    short = workbench.simulate().desired["v"]
    workbench.session.discard()
    workbench.execute(f"ALTER DATABASE {workbench.database.name} SET search_path = public")
    workbench.define(
        "v", "SELECT id, 'well'::crm.mood AS mood FROM crm.t", indexes=(Index(columns=("mood",)),)
    )

    long = workbench.simulate().desired["v"]

    assert (short.query, short.columns) == (long.query, long.columns)
    assert list(short.indexes.values()) == list(long.indexes.values())
