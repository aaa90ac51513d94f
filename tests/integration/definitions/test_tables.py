"""Maintained tables: created with their keys, swapped, and kept from harm like any other view."""

import pytest

from refresher.config.model import Checks, Index, Kind
from refresher.definitions.compare import Aspect
from refresher.definitions.look import look_for_drift
from refresher.errors import PlanError
from refresher.names import RelationName, query_name
from refresher.refresh.session import Session
from tests.integration.definitions.conftest import PLAIN, Workbench, acl

TOTALS = "SELECT customer, sum(amount) AS total FROM paid GROUP BY customer"


@pytest.fixture
def tables(workbench: Workbench) -> Workbench:
    """table → plain view → maintained table → plain view → maintained table."""
    workbench.execute(
        "CREATE TABLE orders (id int, customer int, amount numeric(10, 2));"
        "INSERT INTO orders SELECT n, n % 10, n FROM generate_series(1, 100) AS n"
    )
    workbench.define("paid", "SELECT * FROM orders WHERE amount > 0", PLAIN)
    workbench.define(
        "totals",
        TOTALS,
        Kind.TABLE,
        key=("customer",),
        indexes=(Index(columns=("total",)),),
        comment="what they paid",
        grants={"pg_monitor": ("select",)},
    )
    workbench.define("big", "SELECT * FROM totals WHERE total > 480", PLAIN)
    workbench.define(
        "best",
        "SELECT customer % 2 AS odd, max(total) AS total FROM big GROUP BY 1",
        Kind.TABLE,
        key=("odd",),
    )
    return workbench


def oid(workbench: Workbench, name: str) -> int:
    found: int = workbench.one("SELECT %s::regclass::oid::int8", name)
    return found


def query_views(workbench: Workbench) -> list[str]:
    return [
        name
        for (name,) in workbench.execute(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'refresher'::regnamespace"
            " AND relkind = 'v' AND relname LIKE '%.%' ORDER BY 1"
        )
    ]


def test_a_table_has_a_primary_key_and_types_of_its_query(tables: Workbench) -> None:
    steps = tables.apply_well()
    assert [step for step in steps if step[0] != "create"] == [
        ("populate", "totals"),
        ("index", "totals"),
        ("populate", "best"),
    ]
    assert tables.one("SELECT array_agg(total ORDER BY odd) FROM best") == [550, 540]
    assert tables.execute(
        "SELECT contype::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'totals'::regclass AND contype = 'p'"
    ) == [("p", "totals_pkey", "PRIMARY KEY (customer)")]
    assert tables.one("SELECT obj_description('totals'::regclass)") == "what they paid"
    assert acl(tables, "totals") == ["pg_monitor=r/postgres", "postgres=all/postgres"]
    assert query_views(tables) == ["public.best", "public.totals"]
    assert tables.one("SELECT count(*) FROM totals") == 10


def test_a_changed_query_is_swapped_with_its_readers(tables: Workbench) -> None:
    tables.apply_well()
    before = {name: oid(tables, name) for name in ("totals", "big", "best")}
    tables.redefine("totals", query=TOTALS.replace("sum(amount)", "sum(amount) * 2"))
    assert tables.kinds() == [("swap", "totals", "big"), ("refresh", "best")]
    tables.apply_well()
    after = {name: oid(tables, name) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"totals"}
    assert tables.one("SELECT max(total) FROM best") == 1100
    assert tables.execute("SELECT DISTINCT strategy FROM refresher.run WHERE view = 'totals'") == [
        ("merge",)
    ]
    assert query_views(tables) == ["public.best", "public.totals"]
    assert tables.one("SELECT obj_description('totals'::regclass)") == "what they paid"
    assert acl(tables, "totals") == ["pg_monitor=r/postgres", "postgres=all/postgres"]
    assert (
        tables.one(
            "SELECT conname::text FROM pg_constraint WHERE conrelid = 'totals'::regclass"
            " AND contype = 'p'"
        )
        == "totals_pkey"
    )


def test_another_key_is_another_table(tables: Workbench) -> None:
    tables.apply_well()
    tables.redefine("totals", key=("total",))
    assert tables.kinds()[0] == ("swap", "totals", "big")
    tables.apply_well()
    assert (
        tables.one(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'totals'::regclass AND contype = 'p'"
        )
        == "PRIMARY KEY (total)"
    )


def test_a_table_that_reads_one_that_goes_is_built_on_what_comes(tables: Workbench) -> None:
    tables.define("copy", "SELECT * FROM totals", Kind.TABLE, key=("customer",))
    tables.apply_well()
    tables.redefine("totals", query=TOTALS.replace("sum(amount)", "sum(amount) * 2"))
    assert tables.kinds()[0] == ("swap", "totals", "copy", "big")
    tables.apply_well()
    assert tables.one("SELECT sum(total) FROM copy") == 10100


def test_a_repeated_key_keeps_what_stands(tables: Workbench) -> None:
    tables.apply_well()
    tables.redefine("totals", query="SELECT customer, amount AS total FROM paid")
    errors = tables.errors()
    assert "repeat" in errors["totals"]
    assert tables.one("SELECT count(*) FROM totals") == 10
    assert query_views(tables) == ["public.best", "public.totals"]


def test_a_table_of_somebody_else_is_left_alone(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE taken (id int PRIMARY KEY)")
    workbench.define("taken", "SELECT 1 AS id", Kind.TABLE, key=("id",))
    plan = workbench.plan()
    assert plan.problems == (
        "taken: public.taken is a table, not a table that refresher made; rename one of them",
    )
    with pytest.raises(PlanError):
        workbench.apply()


def test_a_table_is_renamed_with_its_query(tables: Workbench) -> None:
    tables.apply_well()
    before = oid(tables, "best")
    del tables.views["best"]
    tables.define(
        "finest",
        "SELECT customer % 2 AS odd, max(total) AS total FROM big GROUP BY 1",
        Kind.TABLE,
        key=("odd",),
        renamed_from="best",
        relation=RelationName("public", "finest"),
    )
    assert ("rename", "finest") in tables.kinds()
    tables.apply()
    assert oid(tables, "finest") == before
    assert query_views(tables) == ["public.finest", "public.totals"]


def test_what_is_no_longer_configured_is_dropped_with_its_query(tables: Workbench) -> None:
    tables.apply_well()
    del tables.views["best"]
    assert tables.apply_well(prune=True) == [("drop", "best")]
    assert query_views(tables) == ["public.totals"]
    assert "best" not in tables.relations()


def test_a_table_whose_rows_others_need_is_not_exchanged(tables: Workbench) -> None:
    tables.apply_well()
    tables.execute("CREATE TABLE notes (customer int REFERENCES totals)")
    tables.redefine("totals", query=TOTALS.replace("sum(amount)", "sum(amount) * 2"))
    (problem,) = tables.plan().problems
    assert "notes_customer_fkey" in problem
    assert "totals" in problem


def test_what_others_gave_a_table_stays_with_it(tables: Workbench) -> None:
    tables.apply_well()
    tables.execute(
        "ALTER TABLE totals ADD CONSTRAINT positive CHECK (total > 0);"
        "CREATE INDEX mine ON totals (total DESC);"
        "COMMENT ON COLUMN totals.total IS 'euros';"
        "CREATE FUNCTION ignore() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER mine AFTER INSERT ON totals EXECUTE FUNCTION ignore()"
    )
    tables.redefine("totals", query=TOTALS.replace("sum(amount)", "sum(amount) * 2"))
    tables.apply_well()
    assert tables.one(
        "SELECT array_agg(conname::text ORDER BY conname) FROM pg_constraint"
        " WHERE conrelid = 'totals'::regclass AND contype IN ('c', 'p')"
    ) == ["positive", "totals_pkey"]
    assert tables.one("SELECT col_description('totals'::regclass, 2)") == "euros"
    assert tables.one("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'totals'::regclass") == 1
    assert "mine" in tables.relations()


def test_the_query_belongs_to_the_owner_of_the_table(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE ROLE keeper; GRANT CREATE ON SCHEMA public TO keeper;"
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor;"
        "CREATE TABLE orders (id int); GRANT SELECT ON orders TO keeper"
    )
    workbench.define("kept", "SELECT id FROM orders", Kind.TABLE, key=("id",), owner="keeper")
    workbench.apply_well()
    query = str(query_name(RelationName("public", "kept")))
    owner = "SELECT relowner::regrole::text FROM pg_class WHERE oid = %s::regclass"
    assert workbench.one(owner, query) == workbench.one(owner, "kept") == "keeper"
    assert not workbench.one("SELECT has_schema_privilege('keeper', 'refresher', 'CREATE')")
    assert not workbench.one("SELECT has_table_privilege('pg_monitor', %s, 'SELECT')", query)


def test_drift_of_a_table_is_seen(tables: Workbench) -> None:
    tables.apply_well()
    connection = tables.session.connection()
    assert look_for_drift(connection, tables.views) == []
    tables.execute("ALTER TABLE totals DROP CONSTRAINT totals_pkey")
    (drift,) = look_for_drift(connection, tables.views)
    assert (drift.view, drift.aspect) == ("totals", Aspect.DEFINITION)
    assert "primary key" in drift.message


def test_a_table_with_a_long_name_has_a_query_too(workbench: Workbench) -> None:
    name = "ä" * 31
    workbench.define(name, "SELECT 1 AS id", Kind.TABLE, key=("id",))
    workbench.apply_well()
    assert workbench.execute(f'TABLE "{name}"') == [(1,)]


def test_checks_hold_for_what_is_built_beside(tables: Workbench) -> None:
    tables.apply_well()
    tables.redefine(
        "totals", query=TOTALS.replace("paid", "paid WHERE false"), checks=Checks(min_rows=5)
    )
    assert "min_rows" in tables.errors()["totals"]
    assert tables.one("SELECT count(*) FROM totals") == 10


def test_a_killed_apply_leaves_nothing_that_the_next_one_keeps(tables: Workbench) -> None:
    tables.apply_well()
    session = Session(tables.database.endpoint, worker="test/other")
    tables.redefine("totals", query=TOTALS.replace("sum(amount)", "sum(amount) / 0"))
    assert "division by zero" in tables.errors()["totals"]
    session.discard()
    assert query_views(tables) == ["public.best", "public.totals"]
    assert not [name for name in tables.relations() if "beside" in name]


_NARROW = """
SELECT
    id, id::varchar(5) AS v, id::varchar(5) AS w, 1.5::numeric(4, 1) AS n,
    timestamptz '2025-01-01' AT TIME ZONE 'UTC' AS at, '01'::bit varying(3) AS b
FROM orders
"""
_WIDE = """
SELECT
    id, id::varchar(9) AS v, (id || '!')::text AS w, 1.5::numeric(6, 1) AS n,
    timestamptz '2025-01-01' AT TIME ZONE 'UTC' AS at, '01'::bit varying AS b
FROM orders
"""


@pytest.fixture
def narrow(workbench: Workbench) -> Workbench:
    workbench.execute("CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 100) AS n")
    workbench.define("kept", _NARROW, Kind.TABLE, key=("id",), indexes=(Index(columns=("v",)),))
    workbench.apply_well()
    return workbench


def test_columns_that_become_wider_are_altered_in_place(narrow: Workbench) -> None:
    place = "SELECT oid::int8, relfilenode::int8 FROM pg_class WHERE relname = 'kept'"
    before = narrow.execute(place)
    narrow.redefine("kept", query=_WIDE)
    assert narrow.kinds() == [("widen", "kept"), ("refresh", "kept")]
    narrow.apply_well()
    assert narrow.execute(place) == before
    assert narrow.execute("SELECT v, w, n::text FROM kept WHERE id = 7") == [("7", "7!", "1.5")]
    assert (
        narrow.one(
            "SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum)"
            " FROM pg_attribute WHERE attrelid = 'kept'::regclass AND attnum BETWEEN 2 AND 4"
        )
        == "character varying(9), text, numeric(6,1)"
    )
    assert query_views(narrow) == ["public.kept"]


def test_a_table_that_a_view_reads_is_swapped_for_a_wider_one(narrow: Workbench) -> None:
    narrow.define("short", "SELECT v FROM kept", PLAIN)
    narrow.apply_well()
    narrow.redefine("kept", query=_WIDE)
    narrow.redefine("short", query="SELECT v::varchar(5) AS v FROM kept")
    assert narrow.kinds()[0][:2] == ("swap", "kept")
    narrow.apply_well()
    assert narrow.one("SELECT count(*) FROM short") == 100


def test_an_apply_that_was_cut_off_after_widening_refreshes_next_time(narrow: Workbench) -> None:
    narrow.redefine("kept", query=_WIDE.replace("1.5", "(1 / (SELECT count(*) FROM gate))"))
    narrow.execute("CREATE TABLE gate ()")
    assert "division by zero" in narrow.errors()["kept"]
    narrow.execute("INSERT INTO gate DEFAULT VALUES")
    assert narrow.kinds() == [("refresh", "kept")]
    narrow.apply_well()
    assert narrow.one("SELECT w FROM kept WHERE id = 7") == "7!"


def test_what_uses_a_column_otherwise_is_told_and_left(narrow: Workbench) -> None:
    narrow.execute(
        "CREATE FUNCTION ignore() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER mine BEFORE UPDATE OF v ON kept FOR EACH ROW WHEN (NEW.v = '')"
        " EXECUTE FUNCTION ignore()"
    )
    narrow.redefine("kept", query=_WIDE)
    assert "trigger" in narrow.errors()["kept"]
    assert narrow.one("SELECT w FROM kept WHERE id = 7") == "7"


def test_how_a_tables_query_is_written_is_no_drift(tables: Workbench) -> None:
    tables.apply_well()
    written = 'select CUSTOMER,\n sum(p.amount) as "total" from paid p -- all\ngroup by p.customer'
    tables.redefine("totals", query=written)
    assert tables.kinds() == []
    assert tables.plan().drift == ()
