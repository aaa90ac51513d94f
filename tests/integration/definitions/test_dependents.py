"""What nobody manages and depends on a view, while the view changes."""

from collections.abc import Callable

import pytest

from refresher.errors import ConfigError, PlanError
from tests.integration.definitions.conftest import PLAIN, Workbench

ATOMIC = "CREATE FUNCTION d() RETURNS bigint BEGIN ATOMIC SELECT sum({}) FROM m; END"
RULE = "CREATE RULE d AS ON INSERT TO o DO ALSO DELETE FROM t WHERE id IN (SELECT {} FROM m)"
POLICY = "CREATE POLICY d ON t USING (id IN (SELECT {} FROM p)) WITH CHECK (EXISTS (SELECT FROM m))"

KEPT = {
    "a view": "CREATE VIEW d AS SELECT id FROM m",
    "a view of a view": "CREATE VIEW d0 AS SELECT id FROM p; CREATE VIEW d AS SELECT id FROM d0",
    "a view with a check": "CREATE VIEW d WITH (security_barrier) AS SELECT id FROM p WHERE id > 0",
    "a whole row that is counted": "CREATE VIEW d AS SELECT count(m) AS n FROM m",
    "a materialized view": "CREATE MATERIALIZED VIEW d AS SELECT id FROM m;"
    " CREATE UNIQUE INDEX di ON d (id); COMMENT ON MATERIALIZED VIEW d IS 'theirs'",
    "one without contents": "CREATE MATERIALIZED VIEW d AS SELECT id FROM m WITH NO DATA",
    "one behind a view": "CREATE MATERIALIZED VIEW d AS SELECT id FROM p",
    "a function": ATOMIC.format("id"),
    "a procedure": "CREATE PROCEDURE d() BEGIN ATOMIC SELECT id FROM m; END",
    "a function whose body is text": "CREATE FUNCTION d() RETURNS bigint LANGUAGE sql"
    " AS 'SELECT sum(id) FROM m'",
    "a policy": POLICY.format("id"),
    "a rule": RULE.format("id"),
    "a rule of its own": "CREATE RULE d AS ON INSERT TO p DO INSTEAD"
    " INSERT INTO t SELECT NEW.id, 1, NEW.name FROM m",
    "a default": ATOMIC.format("id") + "; ALTER TABLE o ALTER id SET DEFAULT d()",
    "a name in a default": "ALTER TABLE o ADD what oid DEFAULT 'm'::regclass",
}

STUCK = {
    "public.d": "CREATE VIEW d AS SELECT other FROM m",
    "function public.d()": ATOMIC.format("other"),
    "policy d on public.t": POLICY.format("other"),
    "rule d on public.o": RULE.format("other"),
    "rule d on public.p": "CREATE RULE d AS ON INSERT TO p DO INSTEAD"
    " INSERT INTO t VALUES (NEW.id, NEW.other, NEW.name)",
    "function public.of_rows()": "CREATE FUNCTION of_rows() RETURNS SETOF p LANGUAGE sql"
    " AS 'SELECT * FROM p'",
    "function public.d(public.m)": "CREATE FUNCTION d(m) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "table column public.o.d": "ALTER TABLE o ADD d m",
    "composite type column public.d.a": "CREATE TYPE d AS (a p[], b int)",
    "type public.d": "CREATE DOMAIN d AS m",
    "view column public.d.x": "CREATE VIEW d AS SELECT NULL::m AS x",
}


@pytest.fixture
def bench(workbench: Workbench) -> Workbench:
    """A materialized view and a plain one over it, and tables for others to depend from."""
    workbench.execute(
        "CREATE TABLE t AS SELECT n AS id, n * 2 AS other, 'n' || n AS name"
        " FROM generate_series(1, 10) AS n; CREATE TABLE o (id int)"
    )
    workbench.define("m", "SELECT id, other, name FROM t", key=("id",))
    workbench.define("p", "SELECT id, other, name FROM m", PLAIN)
    workbench.apply_well()
    return workbench


def change_contents(workbench: Workbench) -> None:
    workbench.redefine("m", query="SELECT id, other, name FROM t WHERE id <> 1")


def drop_column(workbench: Workbench) -> None:
    workbench.redefine("m", query="SELECT id, name FROM t WHERE id <> 1")
    workbench.redefine("p", query="SELECT id, name FROM m")


def names(workbench: Workbench) -> list[str]:
    """Everything that is named, but for the store and PostgreSQL's own."""
    found: list[str] = workbench.one(
        "SELECT array_agg(i.identity ORDER BY i.type, i.identity) FROM ("
        " SELECT classid, objid, objsubid FROM pg_depend WHERE objid >= 16384 AND deptype <> 'i'"
        " UNION SELECT 'pg_class'::regclass, attrelid, attnum FROM pg_attribute"
        " WHERE attrelid >= 16384 AND attnum > 0 AND NOT attisdropped"
        ") AS d, pg_identify_object(d.classid, d.objid, d.objsubid) AS i"
        " WHERE i.identity NOT LIKE '%%refresher.%%' AND i.identity NOT LIKE '%%pg_toast%%'"
    )
    return found


@pytest.mark.parametrize("made", KEPT.values(), ids=KEPT)
def test_what_can_go_on_goes_on(bench: Workbench, made: str) -> None:
    bench.execute(made)
    before = set(names(bench))

    drop_column(bench)
    bench.apply_well()

    assert before - set(names(bench)) == {"public.m.other", "public.p.other"}
    assert set(names(bench)) < before
    if "BEGIN ATOMIC" in made and "PROCEDURE" not in made:
        assert bench.one("SELECT d()") == 54
    if "VIEW d AS SELECT id FROM m;" in made:
        assert bench.one("SELECT sum(id) FROM d") == 54
        assert bench.one("SELECT obj_description('d'::regclass)") == "theirs"
    if "NO DATA" in made:
        assert not bench.one("SELECT relispopulated FROM pg_class WHERE oid = 'd'::regclass")
    if "what oid" in made:
        bench.execute("INSERT INTO o VALUES (1)")
        assert bench.one("SELECT what::regclass::text FROM o") == "m"


@pytest.mark.parametrize(("name", "made"), STUCK.items(), ids=STUCK)
def test_what_can_not_go_on_stops_the_plan_and_goes_only_when_it_may(
    bench: Workbench, name: str, made: str
) -> None:
    bench.execute(made)
    before, catalog = set(names(bench)), bench.catalog()
    drop_column(bench)

    (problem,) = bench.plan().problems
    assert problem.startswith(name)
    assert problem.endswith(f"or let it go with --allow-drop {name!r}")
    with pytest.raises(PlanError, match="allow-drop"):
        bench.apply()
    with pytest.raises(PlanError, match="allow-drop"):
        bench.apply(allow_drop=["m", "d", "public.o"])
    assert bench.catalog() == catalog

    assert bench.plan(allow_drop=[name]).problems == ()
    bench.apply_well(allow_drop=[name])
    left = set(names(bench))
    assert left < before
    assert {each for each in left if "other" in each} == {"public.t.other"}
    assert {"public.o.id", "public.t.id", "public.m.id", "public.p.id"} <= left
    assert bench.apply_well() == []


def test_what_depends_on_what_is_let_go_is_asked_for_too(bench: Workbench) -> None:
    bench.execute(
        "CREATE VIEW d AS SELECT other FROM m; CREATE VIEW e AS SELECT other FROM d;"
        "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT sum(other) FROM e; END"
    )
    drop_column(bench)

    problems = bench.plan(allow_drop=["public.d"]).problems

    assert [problem.split(",")[0].split(" depends")[0] for problem in problems] == [
        "public.e",
        "function public.f()",
    ]
    bench.apply_well(allow_drop=["public.d", "public.e", "function public.f()"])
    assert set(bench.relations()) == {"t", "o", "m", "m_id_key", "p"}


def test_a_managed_view_of_an_unmanaged_one_that_would_break_is_told(bench: Workbench) -> None:
    bench.execute("CREATE VIEW d AS SELECT id, other FROM m")
    bench.define("q", "SELECT id FROM d", PLAIN)
    bench.apply_well()
    before = bench.catalog()

    bench.redefine("m", query="SELECT id, name FROM t")
    bench.redefine("p", query="SELECT id, name FROM m")

    with pytest.raises(ConfigError, match=r"'q' reads public\.d, which is not managed and would"):
        bench.apply(allow_drop=["public.d"])
    assert bench.catalog() == before


def test_what_came_to_depend_after_planning_keeps_the_swap_from_happening(
    bench: Workbench,
) -> None:
    change_contents(bench)

    def tell(activity: str) -> None:
        if activity.endswith(": exchanging"):
            bench.execute("CREATE FUNCTION late(m) RETURNS int LANGUAGE sql AS 'SELECT 1'")

    (result,) = bench.apply(tell=tell).steps

    told = "function public.late(public.m) came to depend on what goes meanwhile; plan again"
    assert result.detail == told
    assert bench.one("SELECT count(*) FROM p") == 10
    assert set(bench.relations()) == {"t", "o", "m", "m_id_key", "p"}


def test_a_view_that_came_after_planning_keeps_the_swap_from_happening(bench: Workbench) -> None:
    change_contents(bench)

    def tell(activity: str) -> None:
        if activity.endswith(": exchanging"):
            bench.execute("CREATE VIEW late AS SELECT id FROM m")

    (result,) = bench.apply(tell=tell).steps

    assert result.outcome == "failed"
    assert bench.one("SELECT count(*) FROM p") == 10
    assert set(bench.relations()) == {"t", "o", "m", "m_id_key", "p", "late"}
    assert bench.apply_well() == [("swap", "m", "p", "public.late")]


def test_a_definition_changed_by_others_after_planning_is_left_alone(bench: Workbench) -> None:
    change_contents(bench)

    def tell(activity: str) -> None:
        if activity.endswith(": exchanging"):
            bench.execute("CREATE OR REPLACE VIEW p AS SELECT id, other, name FROM t")

    (result,) = bench.apply(tell=tell).steps

    assert result.detail == "p was changed by somebody else meanwhile; apply again"
    assert bench.one("SELECT count(*) FROM m") == 10
    assert sorted(bench.apply_well()) == [("replace", "p"), ("swap", "m")]


def test_somebody_elses_function_stops_the_plan(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    role, other = make_role("refresher"), make_role("other")
    workbench.execute(
        f"GRANT CREATE ON SCHEMA public TO {role}, {other};"
        f" ALTER SCHEMA refresher OWNER TO {role};"
        f" CREATE TABLE t AS SELECT 1 AS id; ALTER TABLE t OWNER TO {role}"
    )
    for (name,) in workbench.execute(
        "SELECT relname::text FROM pg_class"
        " WHERE relnamespace = 'refresher'::regnamespace AND relkind IN ('r', 'v')"
    ):
        workbench.execute(f"ALTER TABLE refresher.{name} OWNER TO {role}")
    workbench.work_as(role)
    workbench.define("m", "SELECT id FROM t", grants={other: ("select",)})
    workbench.apply_well()
    workbench.execute(
        f"SET ROLE {other};"
        " CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM m; END; RESET ROLE"
    )
    workbench.redefine("m", query="SELECT id + 1 AS id FROM t")

    (problem,) = workbench.plan().problems
    assert problem.startswith(
        f"function public.f() depends on m and belongs to {other}, whose members may change it;"
    )

    workbench.execute(f"GRANT {other} TO {role}")
    workbench.apply_well()
    assert workbench.execute("SELECT f()") == [(1,)]
