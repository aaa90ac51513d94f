import pytest

from refresher.config.model import Checks, Index
from refresher.errors import ConfigError
from tests.integration.definitions.conftest import PLAIN, Workbench, define_chain


def test_contents_that_break_a_check_are_not_shown(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t (id int)")
    workbench.define("v", "SELECT id FROM t", key=("id",), checks=Checks(min_rows=1))

    applied = workbench.apply()

    assert [result.outcome for result in applied.steps] == ["done", "failed", "skipped"]
    assert (applied.steps[1].detail or "").startswith(
        "can't be filled: check min_rows: 0 rows, fewer than"
    )
    assert applied.steps[2].detail == "waits for v"
    assert not workbench.one("SELECT relispopulated FROM pg_class WHERE oid = 'v'::regclass")

    workbench.execute("INSERT INTO t VALUES (1)")
    assert workbench.apply_well() == [("populate", "v"), ("index", "v")]


def test_views_that_were_restored_without_contents_are_filled_upstream_first(
    workbench: Workbench,
) -> None:
    define_chain(workbench)
    workbench.apply_well()
    # As pg_restore --schema-only leaves it, in another database or in this one.
    workbench.execute(
        "REFRESH MATERIALIZED VIEW best WITH NO DATA; REFRESH MATERIALIZED VIEW totals WITH NO DATA"
    )

    assert workbench.apply_well() == [("populate", "totals"), ("populate", "best")]
    assert workbench.execute("SELECT customer FROM best ORDER BY 1") == [(0,), (8,), (9,)]


def test_contents_of_others_are_not_touched(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE TABLE t AS SELECT 1 AS id; CREATE MATERIALIZED VIEW v AS SELECT id FROM t;"
        " INSERT INTO t VALUES (2); ANALYZE v"
    )
    workbench.define("v", "SELECT id FROM t")

    assert workbench.apply_well() == []
    assert workbench.execute("SELECT id FROM v") == [(1,)]
    assert workbench.one("SELECT state FROM refresher.freshness") == "unknown"


def test_an_empty_view_is_analyzed_once(workbench: Workbench) -> None:
    workbench.define("v", "SELECT 1 AS id WHERE false")

    workbench.apply_well()
    assert workbench.one("SELECT reltuples FROM pg_class WHERE oid = 'v'::regclass") == 0
    before = workbench.catalog()
    assert workbench.apply_well() == []
    assert workbench.catalog() == before


@pytest.mark.pg(">= 17")
def test_a_function_that_does_not_say_its_schemas_is_explained(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE TABLE t AS SELECT 1 AS id;"
        " CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t';"
        " CREATE FUNCTION one(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
        " CREATE FUNCTION two(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " 'BEGIN RETURN one($1); END'"
    )
    workbench.define("v", "SELECT total() AS n")
    workbench.define("w", "SELECT 1 AS n", indexes=(Index(expression="two(n)"),))

    with pytest.raises(ConfigError) as caught:
        workbench.apply()
    assert 'relation "t" does not exist (in function total; PostgreSQL 17' in str(caught.value)
    assert "ALTER FUNCTION total SET search_path" in str(caught.value)

    del workbench.views["v"]
    assert "in function public.two" in workbench.errors()["w"]


def test_what_reads_somebody_elses_contents_is_noted(workbench: Workbench) -> None:
    workbench.execute("CREATE MATERIALIZED VIEW theirs AS SELECT 1 AS id")
    workbench.define("mine", "SELECT id FROM theirs", key=("id",))
    workbench.define("shown", "SELECT id FROM mine", PLAIN)

    workbench.apply_well()

    (note,) = workbench.plan().notes
    assert note.startswith("mine: its staleness is unknown, for it reads public.theirs: ")
    states = "SELECT view, state, data_as_of, as_of IS NULL FROM refresher.freshness ORDER BY view"
    assert workbench.execute(states) == [
        ("mine", "unknown", None, False),
        ("shown", "unknown", None, True),
    ]

    workbench.define("theirs", "SELECT 1 AS id")
    assert [note for note in workbench.plan().notes if note.startswith("mine")] == []
