import re

import pytest

from refresher.config.model import Kind
from refresher.definitions.compare import Aspect
from refresher.errors import PlanError
from tests.integration.definitions.conftest import PLAIN, Workbench


@pytest.mark.parametrize(
    ("made", "kind", "told"),
    [
        ("TABLE v AS SELECT 1 AS id", PLAIN, "public.v is a table, not a view"),
        ("TABLE v AS SELECT 1 AS id", Kind.MATERIALIZED_VIEW, "a table, not a materialized view"),
        ("SEQUENCE v", PLAIN, "is a sequence, not a view"),
        ("TABLE other (id int); CREATE INDEX v ON other (id)", PLAIN, "is an index, not a view"),
    ],
)
def test_a_name_that_something_else_has_is_told(
    workbench: Workbench, made: str, kind: Kind, told: str
) -> None:
    workbench.execute(f"CREATE {made}")
    workbench.define("v", "SELECT 1 AS id", kind, grants={}, comment="x")
    before = workbench.catalog()

    plan = workbench.plan()

    assert plan.steps == ()
    (found,) = plan.drift
    assert found.aspect is Aspect.DEFINITION
    assert told in found.message
    assert plan.problems == (f"v: {found.message}; rename one of them",)
    with pytest.raises(PlanError, match=re.escape(told)):
        workbench.apply()
    assert workbench.catalog() == before


def test_how_a_definition_differs_is_told(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t (id int, name text, born date)")
    for name, query in (
        ("other_filter", "SELECT id FROM t WHERE id > 1"),
        ("fewer_columns", "SELECT id FROM t"),
        ("more_columns", "SELECT id, name, born FROM t"),
        ("other_type", "SELECT id::bigint, name FROM t"),
        ("other_order", "SELECT name, id FROM t"),
    ):
        workbench.execute(f"CREATE MATERIALIZED VIEW {name} AS {query}")
        workbench.define(name, "SELECT id, name FROM t")
    workbench.define("other_filter", "SELECT id FROM t")
    before = workbench.catalog()

    plan = workbench.plan()

    assert {drift.view: drift.message for drift in plan.drift} == {
        "other_filter": "the query that stands is another one",
        "fewer_columns": "what stands lacks column name",
        "more_columns": "what stands has column born too",
        "other_type": "what stands has column id as bigint, not integer",
        "other_order": "what stands has its columns in another order",
    }
    assert {drift.aspect for drift in plan.drift} == {Aspect.DEFINITION}
    assert workbench.catalog() == before
    assert sorted(workbench.apply_well()) == sorted(("swap", name) for name in workbench.views)
    assert workbench.plan().drift == ()


@pytest.mark.parametrize("kind", [Kind.VIEW, Kind.MATERIALIZED_VIEW])
def test_how_a_definition_is_written_is_no_drift(workbench: Workbench, kind: Kind) -> None:
    workbench.execute("CREATE SCHEMA crm; CREATE TABLE crm.people (id int, name varchar(20))")
    word = "MATERIALIZED VIEW" if kind is Kind.MATERIALIZED_VIEW else "VIEW"
    workbench.execute(
        f"CREATE {word} v AS SELECT p.id, upper(p.name) AS name FROM crm.people p"
        " JOIN crm.people other USING (id) WHERE p.name IN ('a', 'b') AND (p.id <> 3)"
    )
    workbench.define(
        "v",
        '-- Who there is.\nselect  people.id,\n\tUPPER(people.name) as "name" /* loud */\n'
        'from crm.people join crm.people as "an\\other}) one" using (id)\n'
        "where people.name in ('a','b') and people.id != 3 -- the third one left",
        kind,
    )

    before = workbench.one("SELECT 'v'::regclass::oid::int8")
    assert workbench.plan().drift == ()
    workbench.apply_well()
    assert workbench.one("SELECT 'v'::regclass::oid::int8") == before


def test_a_name_that_shows_in_the_rows_is_drift(workbench: Workbench) -> None:
    workbench.execute("CREATE VIEW v AS SELECT row_to_json(s) AS j FROM (SELECT 1 AS before) AS s")
    workbench.define("v", "SELECT row_to_json(s) AS j FROM (SELECT 1 AS after) AS s", PLAIN)

    (found,) = workbench.plan().drift

    assert found.message == "the query that stands is another one"
    workbench.apply_well()
    assert workbench.one("SELECT j FROM v") == {"after": 1}


def test_a_new_column_under_a_star_is_drift(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t (id int)")
    workbench.define("v", "SELECT * FROM t", PLAIN)
    workbench.apply_well()
    workbench.execute("ALTER TABLE t ADD name text")

    (found,) = workbench.plan().drift

    assert found.message == "what stands lacks column name"
    assert workbench.apply_well() == [("replace", "v")]
    assert workbench.execute("SELECT id, name FROM v") == []
