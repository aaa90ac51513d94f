import pytest

from refresher.config.model import Kind
from refresher.definitions.compare import Aspect
from tests.integration.definitions.conftest import PLAIN, Workbench


@pytest.mark.parametrize(
    ("made", "kind", "told"),
    [
        ("TABLE v AS SELECT 1 AS id", PLAIN, "public.v is a table, not a view"),
        ("VIEW v AS SELECT 1 AS id", Kind.MATERIALIZED_VIEW, "is a view, not a materialized view"),
        ("MATERIALIZED VIEW v AS SELECT 1 AS id", PLAIN, "is a materialized view, not a view"),
        ("SEQUENCE v", PLAIN, "is a sequence, not a view"),
        ("TABLE other (id int); CREATE INDEX v ON other (id)", PLAIN, "is an index, not a view"),
    ],
)
def test_a_name_that_something_else_has_is_told(
    workbench: Workbench, made: str, kind: Kind, told: str
) -> None:
    workbench.execute(f"CREATE {made}")
    workbench.define("v", "SELECT 1 AS id", kind, grants={}, comment="x")
    before = workbench.relations()

    applied = workbench.apply_one("v")

    assert applied.done == ()
    (found,) = applied.drift
    assert found.aspect is Aspect.DEFINITION
    assert told in found.message
    assert workbench.relations() == before


def test_a_definition_that_differs_is_told_and_left_alone(workbench: Workbench) -> None:
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
    before = workbench.catalog()["relations"]

    applied = workbench.apply()

    assert {name: each.drift[0].message for name, each in applied.items()} == {
        "other_filter": "the query that stands is another one",
        "fewer_columns": "what stands lacks column name",
        "more_columns": "what stands has column born too",
        "other_type": "what stands column id is bigint, not integer",
        "other_order": "what stands has its columns in another order",
    }
    assert {each.drift[0].aspect for each in applied.values()} == {Aspect.DEFINITION}
    assert workbench.catalog()["relations"] == before


@pytest.mark.parametrize("kind", Kind)
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

    assert workbench.apply_one("v").drift == ()


def test_a_name_that_shows_in_the_rows_is_drift(workbench: Workbench) -> None:
    workbench.execute("CREATE VIEW v AS SELECT row_to_json(s) AS j FROM (SELECT 1 AS before) AS s")
    workbench.define("v", "SELECT row_to_json(s) AS j FROM (SELECT 1 AS after) AS s", PLAIN)

    (found,) = workbench.apply_one("v").drift

    assert found.message == "the query that stands is another one"


def test_a_new_column_under_a_star_is_drift(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t (id int)")
    workbench.define("v", "SELECT * FROM t", PLAIN)
    workbench.apply_well()
    workbench.execute("ALTER TABLE t ADD name text")

    (found,) = workbench.apply_one("v").drift

    assert found.message == "what stands lacks column name"
