import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from refresher.config.model import Checks, Index, Kind
from refresher.definitions.compare import Aspect
from refresher.refresh.session import Session
from tests.integration.definitions.conftest import Workbench

PLAIN = Kind.VIEW


def define_chain(workbench: Workbench, **fields: Any) -> None:
    """Five views over a table, each reading the next one that is defined."""
    workbench.execute(
        "CREATE TABLE IF NOT EXISTS orders (id int, customer int, amount numeric);"
        " TRUNCATE orders; INSERT INTO orders SELECT n, n % 10, n FROM generate_series(1, 100) AS n"
    )
    workbench.define(
        "best", "SELECT customer, total FROM ranked WHERE place <= 3", key=("customer",), **fields
    )
    workbench.define(
        "ranked",
        "SELECT *, rank() OVER (ORDER BY total DESC) AS place FROM big_totals",
        PLAIN,
        **fields,
    )
    workbench.define("big_totals", "SELECT * FROM totals WHERE total > 10", PLAIN, **fields)
    workbench.define(
        "totals",
        "SELECT customer, sum(amount) AS total FROM paid GROUP BY customer",
        key=("customer",),
        indexes=(Index(columns=("total",)),),
        **fields,
    )
    workbench.define("paid", "SELECT * FROM orders WHERE amount > 0", PLAIN, **fields)


CHAIN = ["paid", "totals", "big_totals", "ranked", "best"]


def test_a_chain_is_created_from_nothing_whatever_the_order_it_is_written_in(
    workbench: Workbench,
) -> None:
    define_chain(workbench)

    applied = workbench.apply()

    assert list(applied) == CHAIN
    assert {name: each.error for name, each in applied.items()} == dict.fromkeys(CHAIN)
    assert applied["paid"].done == ("created",)
    created, populated, *rest = applied["totals"].done
    assert created == "created"
    assert populated.startswith("populated: 10 rows in ")
    assert rest == ["index totals_customer_key", "index totals_total_idx", "analyzed"]
    assert workbench.relations() == {
        "orders": "r",
        **dict.fromkeys(("paid", "big_totals", "ranked"), "v"),
        **dict.fromkeys(("totals", "best"), "m"),
        **dict.fromkeys(("totals_customer_key", "totals_total_idx", "best_customer_key"), "i"),
    }
    assert workbench.execute("SELECT customer FROM best ORDER BY 1") == [(0,), (8,), (9,)]
    states = "SELECT view, state FROM refresher.freshness ORDER BY view"
    assert workbench.execute(states) == [(name, "fresh") for name in sorted(CHAIN)]
    triggers = "SELECT view, trigger, outcome FROM refresher.run ORDER BY id"
    assert workbench.execute(triggers) == [
        ("totals", "populate", "succeeded"),
        ("best", "populate", "succeeded"),
    ]


def test_applying_again_changes_nothing(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    owner, reader = make_role("owner"), make_role("reader")
    workbench.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
    define_chain(workbench, owner=owner, grants={reader: ("select",)}, comment="What it's for")
    workbench.execute(f"GRANT SELECT ON orders TO {owner}")
    workbench.apply_well()
    before = workbench.catalog()

    again = workbench.apply()

    assert {name: each.done for name, each in again.items()} == dict.fromkeys(CHAIN, ())
    assert workbench.catalog() == before


class _Interruption(Exception):  # noqa: N818 - it is none of the program's errors
    pass


def raise_one(workbench: Workbench) -> None:
    del workbench
    raise _Interruption


def end_backend(workbench: Workbench) -> None:
    workbench.execute(
        "SELECT pg_terminate_backend(%s)", workbench.session.connection().info.backend_pid
    )


def steps_until(workbench: Workbench, number: int, end: Callable[[Workbench], None]) -> bool:
    """Apply, ending it before a step, counted from 0; returns whether it came that far."""
    told: list[str] = []

    def tell(view: str, step: str) -> None:
        told.append(f"{view}: {step}")
        if len(told) == number + 1:
            end(workbench)

    try:
        workbench.apply(tell=tell)
    except (_Interruption, psycopg.OperationalError):
        return True
    return len(told) > number


@pytest.mark.parametrize("end", [raise_one, end_backend])
def test_interrupted_before_any_step_it_goes_on_when_run_again(
    workbench: Workbench, make_role: Callable[..., str], end: Callable[[Workbench], None]
) -> None:
    owner, reader = make_role("owner"), make_role("reader")
    workbench.execute(
        f"GRANT CREATE ON SCHEMA public TO {owner}; CREATE TABLE orders"
        f" (id int, customer int, amount numeric); GRANT SELECT ON orders TO {owner}"
    )
    define_chain(workbench, owner=owner, grants={reader: ("select",)}, comment="Mine")
    number = 0

    while steps_until(workbench, number, end):
        assert workbench.apply_well() == CHAIN
        assert workbench.execute("SELECT customer FROM best ORDER BY 1") == [(0,), (8,), (9,)]
        assert set(
            workbench.execute(
                "SELECT pg_get_userbyid(relowner), relacl::text, obj_description(oid)"
                " FROM pg_class WHERE oid >= 16384 AND relkind IN ('m', 'v')"
                " AND relnamespace = 'public'::regnamespace"
            )
        ) == {(owner, f"{{{owner}=arwdDxtm/{owner},{reader}=r/{owner}}}", "Mine")}
        workbench.execute("DROP VIEW paid CASCADE")
        number += 1

    assert number == 12


def test_a_backend_that_ends_within_a_step_leaves_nothing_half_done(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE FUNCTION dying(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN 1; END$$"
    )
    workbench.define("v", "SELECT 1 AS id", indexes=(Index(expression="dying(id)", name="i"),))

    with pytest.raises(psycopg.OperationalError):
        workbench.apply()
    workbench.execute(
        "CREATE OR REPLACE FUNCTION dying(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'"
    )

    assert workbench.apply_one("v").done == ("index i", "analyzed")
    assert workbench.one("SELECT count(*) FROM refresher.run") == 1


@pytest.fixture
def open_defaults(workbench: Workbench, make_role: Callable[..., str]) -> Iterator[str]:
    """A role that whatever is created is opened to, as Supabase's anon is."""
    anon = make_role("anon")
    workbench.execute(
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {anon};"
        " ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC"
    )
    yield anon
    workbench.execute(
        f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM {anon};"
        " ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC"
    )


def acl(workbench: Workbench, name: str) -> list[str]:
    """Who may do what with a relation; nothing where its owner may do everything."""
    return sorted(workbench.one("SELECT relacl FROM pg_class WHERE oid = %s::regclass", name) or ())


def test_default_privileges_open_nothing(workbench: Workbench, open_defaults: str) -> None:
    workbench.execute("CREATE TABLE by_hand ()")
    workbench.define("m", "SELECT 1 AS id")
    workbench.define("p", "SELECT 1 AS id", PLAIN)

    workbench.apply_well()

    grants = "SELECT has_table_privilege(%s, %s, 'SELECT')"
    assert workbench.one(grants, open_defaults, "by_hand")
    assert not workbench.one(grants, open_defaults, "m")
    assert not workbench.one(grants, open_defaults, "p")


def test_grants_are_complete_when_given(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    old, new, passed_on = make_role("old"), make_role("new"), make_role("third")
    workbench.execute("CREATE MATERIALIZED VIEW m AS SELECT 1 AS id, 2 AS secret")
    workbench.define("m", "SELECT 1 AS id, 2 AS secret", grants={new: ("select", "insert")})
    workbench.execute(
        f"GRANT SELECT, UPDATE ON m TO {old} WITH GRANT OPTION; GRANT SELECT ON m TO PUBLIC"
    )
    with workbench.database.connect_as(old) as owner_of_grants:
        owner_of_grants.execute(f"GRANT SELECT ON m TO {passed_on}")

    assert workbench.apply_one("m").done == ("grants", "analyzed")

    assert acl(workbench, "m") == [f"{new}=ar/postgres", "postgres=arwdDxtm/postgres"]
    assert workbench.apply_one("m").done == ()


def test_privileges_on_columns_are_grants_too(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    anon = make_role("anon")
    workbench.define("m", "SELECT 1 AS id, 2 AS secret", grants={})
    workbench.apply_well()
    workbench.execute(f"GRANT SELECT (secret) ON m TO {anon}")

    assert workbench.apply_one("m").done == ("grants",)

    assert not workbench.one("SELECT has_column_privilege(%s, 'm', 'secret', 'SELECT')", anon)
    assert workbench.apply_one("m").done == ()


def test_grants_that_are_not_given_are_nobodys_business(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    reader = make_role("reader")
    workbench.execute("CREATE VIEW adopted AS SELECT 1 AS id")
    workbench.execute(f"GRANT SELECT ON adopted TO {reader}")
    workbench.define("adopted", "SELECT 1 AS id", PLAIN)

    assert workbench.apply_one("adopted").done == ()
    assert acl(workbench, "adopted") == ["postgres=arwdDxtm/postgres", f"{reader}=r/postgres"]


def test_grants_to_everybody_and_to_the_owner(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    owner = make_role("owner")
    workbench.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
    workbench.define(
        "p",
        "SELECT 1 AS id",
        PLAIN,
        owner=owner,
        grants={"public": ("select",), owner: ("select",)},
    )

    assert workbench.apply_one("p").done == ("created",)
    assert acl(workbench, "p") == [f"=r/{owner}", f"{owner}=arwdDxtm/{owner}"]
    assert workbench.apply_one("p").done == ()


def test_owner_grants_and_comment_follow_the_definition(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    first, second, reader = make_role("first"), make_role("second"), make_role("reader")
    workbench.execute(f"GRANT CREATE ON SCHEMA public TO {first}, {second}")
    workbench.define("m", "SELECT 1 AS id", owner=first, grants={}, comment="One")
    workbench.apply_well()

    workbench.redefine("m", owner=second, grants={reader: ("select",)}, comment='It\'s "two"')

    assert workbench.apply_one("m").done == (f"owner {second}", "grants", "comment")
    assert acl(workbench, "m") == [f"{reader}=r/{second}", f"{second}=arwdDxtm/{second}"]
    assert workbench.one("SELECT obj_description('m'::regclass)") == 'It\'s "two"'
    assert workbench.apply_one("m").done == ()


def test_what_stands_is_dressed_although_its_definition_differs(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    anon = make_role("anon")
    workbench.execute("CREATE MATERIALIZED VIEW m AS SELECT 1 AS id")
    workbench.execute(f"GRANT SELECT ON m TO {anon}")
    workbench.define("m", "SELECT 2 AS id", grants={}, key=("id",))

    applied = workbench.apply_one("m")

    assert applied.done == ("grants",)
    assert [found.aspect for found in applied.drift] == [Aspect.DEFINITION, Aspect.INDEXES]
    assert not workbench.one("SELECT has_table_privilege(%s, 'm', 'SELECT')", anon)
    assert workbench.execute("SELECT id FROM m") == [(1,)]


def test_a_reader_who_stays_is_not_waited_for(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    owner = make_role("owner")
    workbench.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
    workbench.define("m", "SELECT 1 AS id")
    workbench.apply_well()
    workbench.redefine("m", owner=owner)

    with workbench.connection.transaction():
        workbench.execute("SELECT FROM m")
        blocked = workbench.apply_one("m")

    assert blocked.error == "canceling statement due to lock timeout"
    assert workbench.apply_one("m").done == (f"owner {owner}",)


def test_views_are_applied_alone_when_asked_for(workbench: Workbench) -> None:
    define_chain(workbench)

    applied = workbench.apply(only={"paid", "totals"})

    assert list(applied) == ["paid", "totals"]
    assert "ranked" not in workbench.relations()


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

    applied = workbench.apply()["v"]

    assert applied.error is None
    assert applied.drift == ()
    assert len(applied.done) == 6
    assert workbench.apply_one("v").done == ()
    assert len(workbench.relations()) == 5


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


def test_contents_that_break_a_check_are_not_shown(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t (id int)")
    workbench.define("v", "SELECT id FROM t", key=("id",), checks=Checks(min_rows=1))

    applied = workbench.apply_one("v")

    assert applied.done == ("created",)
    assert applied.error is not None
    assert applied.error.startswith("can't be populated: check min_rows: 0 rows, fewer than")
    assert not workbench.one("SELECT relispopulated FROM pg_class WHERE oid = 'v'::regclass")

    workbench.execute("INSERT INTO t VALUES (1)")
    assert workbench.apply_one("v").done[1:] == ("index v_id_key", "analyzed")


def test_views_that_were_restored_without_contents_are_filled_upstream_first(
    workbench: Workbench,
) -> None:
    define_chain(workbench)
    workbench.apply_well()
    # As pg_restore --schema-only leaves it, in another database or in this one.
    workbench.execute(
        "REFRESH MATERIALIZED VIEW best WITH NO DATA; REFRESH MATERIALIZED VIEW totals WITH NO DATA"
    )

    applied = workbench.apply()

    assert [name for name, each in applied.items() if each.done] == ["totals", "best"]
    assert applied["totals"].done[0].startswith("populated: 10 rows")
    assert {each.error for each in applied.values()} == {None}


def test_contents_of_others_are_not_touched(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE TABLE t AS SELECT 1 AS id; CREATE MATERIALIZED VIEW v AS SELECT id FROM t;"
        " INSERT INTO t VALUES (2); ANALYZE v"
    )
    workbench.define("v", "SELECT id FROM t")

    assert workbench.apply_one("v").done == ()
    assert workbench.execute("SELECT id FROM v") == [(1,)]
    assert workbench.one("SELECT state FROM refresher.freshness") == "unknown"


def test_an_empty_view_is_analyzed_once(workbench: Workbench) -> None:
    workbench.define("v", "SELECT 1 AS id WHERE false")

    assert workbench.apply_one("v").done[-1] == "analyzed"
    assert workbench.apply_one("v").done == ()


def test_several_at_once_do_everything_once(workbench: Workbench) -> None:
    define_chain(workbench)
    at_once = threading.Barrier(4)

    def apply_it(number: int) -> list[str | None]:
        session = Session(workbench.database.endpoint, worker=f"test/{number}")
        one = Workbench(workbench.database, session.connection(), session, workbench.views)
        at_once.wait()
        try:
            applied = one.apply()
        finally:
            session.discard()
        assert list(applied) == CHAIN
        assert {each.drift for each in applied.values()} == {()}
        return [each.error for each in applied.values()]

    with ThreadPoolExecutor(4) as pool:
        errors = [error for each in pool.map(apply_it, range(4)) for error in each]

    assert set(errors) == {None}
    assert len(workbench.relations()) == 9
    assert workbench.one("SELECT count(*) FROM refresher.run WHERE outcome <> 'succeeded'") == 0
    assert workbench.apply_well() == CHAIN


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

    applied = workbench.apply()

    assert applied["v"].error is not None
    assert 'relation "t" does not exist (in function total; PostgreSQL 17' in applied["v"].error
    assert "ALTER FUNCTION total SET search_path" in applied["v"].error
    assert applied["w"].error is not None
    assert "in function public.two" in applied["w"].error


def test_what_reads_somebody_elses_contents_is_noted(workbench: Workbench) -> None:
    workbench.execute("CREATE MATERIALIZED VIEW theirs AS SELECT 1 AS id")
    workbench.define("mine", "SELECT id FROM theirs")
    workbench.define("shown", "SELECT id FROM mine", PLAIN)

    applied = workbench.apply()

    (note,) = applied["mine"].notes
    assert note.startswith("its staleness is unknown, for it reads public.theirs: ")
    assert applied["shown"].notes == ()
    states = "SELECT view, state, data_as_of, as_of IS NULL FROM refresher.freshness ORDER BY view"
    assert workbench.execute(states) == [
        ("mine", "unknown", None, False),
        ("shown", "unknown", None, True),
    ]

    workbench.define("theirs", "SELECT 1 AS id")
    assert workbench.apply()["mine"].notes == ()


def test_a_role_that_owns_nothing_else_applies_with_what_it_was_granted(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    role, owner = make_role("refresher"), make_role("owner", "NOLOGIN")
    name = workbench.database.name
    workbench.execute(
        f"CREATE SCHEMA crm; GRANT USAGE, CREATE ON SCHEMA crm TO {role}, {owner};"
        f" GRANT {owner} TO {role}; GRANT TEMP ON DATABASE {name} TO {owner};"
        f" CREATE TABLE crm.t AS SELECT 1 AS id; GRANT SELECT ON crm.t TO {owner};"
        f" ALTER SCHEMA refresher OWNER TO {role};"
    )
    for table in workbench.execute(
        "SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relkind IN ('r', 'v')"
        " AND c.relnamespace = 'refresher'::regnamespace"
    ):
        workbench.execute(f"ALTER TABLE {table[0]} OWNER TO {role}")
    relation = replace(workbench.define("v", "").relation, schema="crm")
    workbench.define("v", "SELECT id FROM crm.t", relation=relation, key=("id",), owner=owner)
    workbench.work_as(role)

    workbench.apply_well()

    assert acl(workbench, "crm.v") == []
    before = workbench.catalog()
    assert workbench.apply_well() == ["v"]
    assert workbench.catalog() == before


def test_names_in_definitions_never_mean_the_store(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE TABLE state AS SELECT 1 AS id;"
        f" ALTER DATABASE {workbench.database.name} SET search_path = refresher, public"
    )
    workbench.define("v", "SELECT id FROM state", key=("id",))

    assert workbench.apply_well() == ["v"]
    assert workbench.apply_one("v").done == ()
    assert workbench.execute("SELECT id FROM public.v") == [(1,)]


def test_long_work_gets_the_time_its_refreshes_get(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    role = make_role("impatient", "LOGIN SUPERUSER")
    workbench.execute(
        f"ALTER ROLE {role} SET statement_timeout = '200ms';"
        " CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$BEGIN PERFORM pg_sleep(0.5); RETURN 1; END$$"
    )
    workbench.define("v", "SELECT 1 AS id", indexes=(Index(expression="slow(id)", name="i"),))
    workbench.work_as(role)

    assert workbench.apply_well() == ["v"]
