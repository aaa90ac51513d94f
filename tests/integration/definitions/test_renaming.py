"""A view that goes by another name keeps its contents, its readers and its history."""

import pytest

from refresher.config.model import Index
from refresher.errors import PlanError
from refresher.names import RelationName
from tests.integration.definitions.conftest import PLAIN, Workbench


@pytest.fixture
def bench(workbench: Workbench) -> Workbench:
    """`m`, read by a plain view, which is read by `n`; and a stranger's view of it."""
    workbench.execute(
        "CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10) AS n; CREATE SCHEMA crm"
    )
    workbench.define("m", "SELECT id FROM t", key=("id",), indexes=(Index(columns=("id",)),))
    workbench.define("v", "SELECT id FROM m", PLAIN)
    workbench.define("n", "SELECT id FROM v", key=("id",))
    workbench.apply_well()
    workbench.execute("CREATE VIEW theirs AS SELECT id FROM m")
    return workbench


def rename(workbench: Workbench, name: str, relation: RelationName) -> None:
    query = f"SELECT id FROM {relation}"
    before = workbench.views.pop("m")
    workbench.define(
        name,
        before.query,
        key=before.key,
        indexes=before.indexes,
        relation=relation,
        renamed_from="m",
    )
    workbench.redefine("v", query=query)


def test_into_another_schema(bench: Workbench) -> None:
    oid = bench.one("SELECT 'm'::regclass::oid::int8")
    runs = bench.execute("SELECT id, trigger, as_of FROM refresher.run WHERE view = 'm'")
    rename(bench, "m2", RelationName("crm", "Other one"))

    assert bench.apply_well() == [("rename", "m2")]

    assert bench.one('SELECT \'"crm"."Other one"\'::regclass::oid::int8') == oid
    history = "SELECT id, trigger, as_of FROM refresher.run WHERE view = 'm2'"
    assert bench.execute(history) == runs
    assert bench.execute("SELECT view, state FROM refresher.freshness ORDER BY view") == [
        ("m2", "fresh"),
        ("n", "fresh"),
        ("v", "fresh"),
    ]
    assert bench.one("SELECT count(*) FROM theirs") == 10
    assert bench.plan().notes == ()
    assert bench.apply_well() == []


def test_and_changed_in_one_apply(bench: Workbench) -> None:
    rename(bench, "m2", RelationName("public", "m2"))
    bench.redefine("m2", query="SELECT id, 1 AS one FROM t WHERE id > 2")
    planned = bench.kinds()

    # What stands is read again once it has its new name: its order among equals may change.
    assert [set(step) for step in bench.apply_well()] == [set(step) for step in planned]
    assert [step[:2] for step in planned] == [("rename", "m2"), ("swap", "m2"), ("refresh", "n")]
    assert set(planned[1][2:]) == {"v", "public.theirs"}

    assert bench.one("SELECT count(*) FROM theirs") == 8
    assert bench.one("SELECT count(*) FROM n") == 8
    assert bench.execute("SELECT view, state FROM refresher.freshness ORDER BY view") == [
        ("m2", "fresh"),
        ("n", "fresh"),
        ("v", "fresh"),
    ]
    assert bench.one("SELECT count(*) FROM refresher.run WHERE view = 'm'") == 0


def test_only_where_nothing_has_the_name(bench: Workbench) -> None:
    bench.execute("CREATE TABLE m2 (id int)")
    rename(bench, "m2", RelationName("public", "m2"))
    bench.redefine("v", query="SELECT id FROM m")
    before = bench.catalog()

    (problem,) = bench.plan().problems

    assert problem == "m2: public.m2 is a table, not a materialized view; rename one of them"
    with pytest.raises(PlanError):
        bench.apply()
    assert bench.catalog() == before


def test_once_renamed_it_is_no_change_to_leave_it_said(bench: Workbench) -> None:
    rename(bench, "m2", RelationName("public", "m2"))
    bench.apply_well()
    before = bench.catalog()

    assert bench.apply_well() == []
    assert bench.catalog() == before
    bench.redefine("m2", renamed_from=None)
    assert bench.apply_well() == []


def test_a_former_name_that_stands_beside_is_noted(workbench: Workbench) -> None:
    workbench.define("old", "SELECT 1 AS id", PLAIN)
    workbench.define("new", "SELECT 1 AS id", PLAIN)
    workbench.apply_well()
    del workbench.views["old"]
    workbench.redefine("new", renamed_from="old")

    assert workbench.kinds() == []
    notes = [note for note in workbench.plan().notes if note.startswith("new: ")]
    assert notes == [
        (
            "new: public.old, whose place it was to take, stands beside it and is left alone;"
            " `refresher destroy old` drops it"
        )
    ]


def test_a_view_whose_relation_keeps_its_name_keeps_its_history(workbench: Workbench) -> None:
    relation = RelationName("public", "r")
    workbench.define("old", "SELECT 1 AS id", relation=relation)
    workbench.apply_well()
    runs = workbench.one("SELECT count(*) FROM refresher.run WHERE view = 'old'")
    workbench.define("new", "SELECT 1 AS id", relation=relation, renamed_from="old")
    del workbench.views["old"]

    assert workbench.apply_well() == [("rename", "new")]

    assert runs > 0
    assert workbench.one("SELECT count(*) FROM refresher.run WHERE view = 'new'") == runs
    assert workbench.one("SELECT count(*) FROM refresher.state WHERE view = 'new'") == 1
