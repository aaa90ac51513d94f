"""However a query names a managed view, it reads what comes in the place of that view."""

from refresher.names import RelationName
from tests.integration.definitions.conftest import PLAIN, Workbench

READERS = {
    "bare": "SELECT m.id FROM m",
    "qualified": "SELECT public.m.id FROM public.m",
    "quoted": 'SELECT "m"."id" FROM "public"."m"',
    "upper_case": "SELECT M.ID FROM PUBLIC.M",
    "spaced": "SELECT public . m . id FROM public /* the */ . -- one\n m",
    "aliased": "SELECT x.id FROM public.m AS x",
    "aliased_by_its_name": "SELECT m.id FROM public.m AS m",
    "renamed_columns": "SELECT a AS id FROM public.m AS x (a)",
    "in_cte_of_its_name": "WITH m AS (SELECT id FROM public.m) SELECT m.id FROM m",
    "in_subqueries": "SELECT id FROM t WHERE id IN (SELECT m.id FROM m)"
    " AND EXISTS (SELECT FROM public.m WHERE m.id = t.id)",
    "in_lateral": "SELECT t.id FROM t, LATERAL (SELECT m.id FROM m WHERE m.id = t.id) AS l",
    "whole_row": "SELECT row_to_json(m) AS j FROM m",
    "star": "SELECT * FROM m",
    "star_of_star": "SELECT * FROM star",
    "qualified_star": "SELECT public.m.* FROM public.m",
    "twice": "SELECT m.id, n.id AS other FROM m JOIN m AS n USING (id)",
    "beside_another_of_its_name": "SELECT a.id FROM other.m AS a, m WHERE m.id <> a.id",
    "beside_a_qualified_one": "SELECT a.id FROM m AS a, other.m AS b WHERE a.id <> b.id",
    "table": "TABLE public.m",
    "in_text": "SELECT 'public.m'::text AS s, id FROM m",
    "in_join": "SELECT j.id FROM (m JOIN t USING (id)) AS j",
    "only": "SELECT id FROM ONLY m",
    "in_union": "SELECT id FROM m UNION SELECT id FROM public.m WHERE m.id > 3",
}
OTHERS = {
    "cte_of_its_name": "WITH m AS (SELECT 42 AS id) SELECT m.id FROM m",
    "another_of_its_name": "SELECT m.id FROM other.m",
    "alias_of_its_name": "SELECT m.id FROM t AS m",
    "column_of_its_name": "SELECT m FROM (SELECT 1 AS m) AS public",
}


def test_however_it_is_named(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10) AS n;"
        " CREATE SCHEMA other; CREATE TABLE other.m AS SELECT 1 AS id"
    )
    workbench.define("m", "SELECT id FROM t", key=("id",))
    for name, query in (READERS | OTHERS).items():
        workbench.define(name, query, PLAIN)
    workbench.apply_well()
    before = {name: workbench.one("SELECT %s::regclass::oid::int8", name) for name in READERS}

    workbench.redefine("m", query="SELECT id, 7 AS extra FROM t WHERE id > 1")
    (swap, replaced) = workbench.apply_well()

    assert swap[:2] == ("swap", "m")
    assert set(swap[2:]) == READERS.keys() - {"star_of_star"}
    assert replaced == ("replace", "star_of_star")
    counts = {name: workbench.one(f'SELECT count(*) FROM "{name}"') for name in READERS}
    assert counts == dict.fromkeys(READERS, 9)
    assert workbench.execute("SELECT * FROM star_of_star ORDER BY id LIMIT 1") == [(2, 7)]
    assert workbench.one("SELECT j FROM whole_row LIMIT 1") == {"id": 2, "extra": 7}
    assert before == {
        name: workbench.one("SELECT %s::regclass::oid::int8", name) for name in before
    }


def test_one_name_in_two_schemas(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE SCHEMA crm; CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10) AS n"
    )
    workbench.define("ours", "SELECT id FROM t", key=("id",), relation=RelationName("public", "x"))
    workbench.define(
        "crm", "SELECT id + 100 AS id FROM public.x", key=("id",), relation=RelationName("crm", "x")
    )
    workbench.define("q", "SELECT x.id FROM crm.x", PLAIN)
    workbench.define("bare", "SELECT x.id FROM x", PLAIN)
    workbench.define(
        "two", "SELECT x.id, y.id AS other FROM x JOIN crm.x AS y ON y.id = x.id + 100", PLAIN
    )
    workbench.apply_well()

    workbench.redefine("crm", query="SELECT id + 100 AS id, 1 AS n FROM public.x WHERE id > 7")
    workbench.redefine(
        "two", query="SELECT x.id, y.id AS other, n FROM x JOIN crm.x AS y ON y.id = x.id + 100"
    )
    (step,) = workbench.apply_well()
    assert step[0] == "swap"
    assert set(step[1:]) == {"crm", "q", "two"}

    workbench.redefine("ours", query="SELECT id FROM t WHERE id > 8")
    (step,) = workbench.apply_well()
    assert set(step[1:]) == {"ours", "crm", "q", "bare", "two"}
    counts = {name: workbench.one(f"SELECT count(*) FROM {name}") for name in ("q", "bare", "two")}
    assert counts == {"q": 2, "bare": 2, "two": 2}


def test_schemas_that_no_search_path_names(workbench: Workbench) -> None:
    workbench.execute(
        'CREATE SCHEMA hidden; CREATE SCHEMA "Odd one";'
        " CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10) AS n"
    )
    workbench.define("h", "SELECT id FROM t", key=("id",), relation=RelationName("hidden", "h"))
    workbench.define("o", "TABLE hidden.h", key=("id",), relation=RelationName("Odd one", "O o"))
    join = 'FROM "Odd one"."O o" JOIN hidden.h ON h.id = "O o".id'
    workbench.define("v", f'SELECT "O o".id {join}', PLAIN)
    workbench.apply_well()

    workbench.redefine("h", query="SELECT id, 2 AS two FROM t WHERE id > 2")
    workbench.redefine("v", query=f'SELECT "O o".id, "O o".two, h.two AS same {join}')

    assert workbench.apply_well() == [("swap", "h", "o", "v")]
    assert workbench.execute("SELECT count(*), min(same) FROM v") == [(8, 2)]


def test_whole_rows_of_views_are_no_drift_and_change_with_them(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t AS SELECT 1 AS id")
    workbench.define("m", "SELECT id FROM t")
    workbench.define("w", "SELECT m AS r, ARRAY[m] AS rs, (m).id AS id FROM m", PLAIN)
    workbench.define("x", "SELECT (r).id AS id FROM w", PLAIN)
    workbench.apply_well()

    workbench.redefine("m", query="SELECT id + 1 AS id FROM t")

    assert workbench.apply_well() == [("swap", "m", "w", "x")]
    assert workbench.execute("SELECT id, (r).id AS of_row, (rs[1]).id AS of_rows FROM w") == [
        (2, 2, 2)
    ]
    assert workbench.execute("SELECT id FROM x") == [(2,)]
