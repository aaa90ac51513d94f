"""Filled columns: their query in a view, the table left alone, and refused where it can't be."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from refresher.config.model import Fills, Kind, Timeouts, View
from refresher.definitions.compare import Aspect
from refresher.definitions.destroy import destroy
from refresher.definitions.look import look_for_drift
from refresher.errors import ConfigError, PlanError
from refresher.names import RelationName, columns_query_name
from refresher.refresh.session import Session
from tests.integration.definitions.conftest import PLAIN, Workbench
from tests.waiting import wait_until

TARGET = RelationName("public", "target")


def fill(
    workbench: Workbench,
    query: str,
    *columns: str,
    name: str = "m",
    table: RelationName = TARGET,
    key: tuple[str, ...] = ("id",),
    **fields: Any,
) -> View:
    return workbench.define(
        name,
        query,
        Kind.COLUMNS,
        relation=columns_query_name(name),
        key=key,
        fills=Fills(table=table, columns=columns),
        **fields,
    )


@pytest.fixture
def crm(workbench: Workbench) -> Workbench:
    """base → materialized view → filled columns → plain view → materialized view."""
    workbench.execute(
        "CREATE TABLE base AS SELECT n AS id, 's' || n % 3 AS source FROM generate_series(1, 9) n;"
        "CREATE TABLE target (id int PRIMARY KEY, name text, source text, since date,"
        " g int GENERATED ALWAYS AS (id * 2) STORED);"
        "INSERT INTO target (id, name) SELECT n, 'n' || n FROM generate_series(1, 10) AS n"
    )
    workbench.define("sources", "SELECT id, source FROM base", key=("id",))
    fill(workbench, "SELECT id, source FROM sources", "source")
    workbench.define("list", "SELECT id, name, source FROM target", PLAIN)
    workbench.define("best", "SELECT source, count(*) AS n FROM list GROUP BY 1", key=("source",))
    return workbench


def filled(workbench: Workbench) -> list[Any]:
    return [source for (source,) in workbench.execute("SELECT source FROM target ORDER BY id")]


EXPECTED = [*("s1", "s2", "s0") * 3, None]


def test_they_are_filled_and_everything_else_is_left_alone(crm: Workbench) -> None:
    before = crm.execute("SELECT oid, relacl, relowner FROM pg_class WHERE relname = 'target'")
    steps = crm.apply_well()
    assert ("create", "m") in steps
    assert steps.index(("populate", "sources")) < steps.index(("populate", "m"))
    assert steps.index(("populate", "m")) < steps.index(("create", "list")), "it would show nothing"
    assert filled(crm) == EXPECTED
    assert crm.execute("SELECT name, since FROM target WHERE id = 3") == [("n3", None)]
    after = crm.execute("SELECT oid, relacl, relowner FROM pg_class WHERE relname = 'target'")
    assert after == before
    assert crm.execute("SELECT relname FROM pg_class WHERE relname LIKE '%stage%'") == []


def test_who_reads_them_is_downstream(crm: Workbench) -> None:
    crm.define("other", "SELECT id, name FROM target", PLAIN)
    crm.define("whole", "SELECT id, row_to_json(t) AS all FROM target AS t", PLAIN)
    crm.apply_well()
    graph = crm.simulate().graph
    assert graph.all_upstreams("best") == {"list", "m", "sources"}
    assert graph.refreshed_upstreams("best") == ("m",)
    assert graph.refreshed_upstreams("m") == ("sources",)
    assert graph.all_upstreams("other") == set()
    assert graph.all_upstreams("whole") == {"m", "sources"}
    registered = crm.one("SELECT upstreams FROM refresher.view WHERE name = 'best'")
    assert registered == ["m"]


def test_another_query_is_replaced_and_they_are_filled_again(crm: Workbench) -> None:
    crm.apply_well()
    fill(crm, "SELECT id, upper(source) AS source FROM sources", "source")
    replacing, refresh, _ = crm.plan().steps
    assert (replacing.lock, replacing.blocks) == (None, "nobody")
    assert (refresh.lock, refresh.blocks.split(",")[0]) == (
        "ROW EXCLUSIVE",
        "who writes to the same rows",
    )
    assert crm.apply_well() == [("replace", "m"), ("refresh", "m"), ("refresh", "best")]
    assert filled(crm) == [source and source.upper() for source in EXPECTED]


@contextmanager
def being_filled(crm: Workbench) -> Iterator[None]:
    """Somebody else fills them while the block lasts, row by row, and has begun to."""
    crm.execute("UPDATE target SET source = NULL")
    view, graph = crm.views["m"], crm.simulate().graph
    assert view.fills is not None
    paced = replace(view, fills=replace(view.fills, max_rows_per_second=1))
    session = Session(crm.database.endpoint, worker="other/worker")
    other = replace(crm.populator(), session=session, views={**crm.views, "m": paced})
    with ThreadPoolExecutor(1) as pool:
        filling = pool.submit(other.refresh, paced, graph)
        writing = "SELECT run FROM refresher.filling WHERE rows_done > 0"
        wait_until(lambda: crm.execute(writing), what="the first row")
        yield
        filling.exception(30)
    session.discard()


def test_who_fills_what_it_computed_before_a_change_is_taken_over(crm: Workbench) -> None:
    crm.apply_well()
    with being_filled(crm):
        fill(crm, "SELECT id, upper(source) AS source FROM sources", "source")
        assert crm.apply_well() == [("replace", "m"), ("refresh", "m"), ("refresh", "best")]
    assert filled(crm) == [source and source.upper() for source in EXPECTED]


def test_a_view_renamed_while_it_is_filled_leaves_no_stage(crm: Workbench) -> None:
    crm.apply_well()
    with being_filled(crm):
        crm.views.pop("m")
        fill(crm, "SELECT id, source FROM sources", "source", name="fresh", renamed_from="m")
        assert crm.apply_well() == [("rename", "fresh")]
    assert crm.execute("SELECT relname FROM pg_class WHERE relname LIKE '%stage%'") == []


@pytest.mark.parametrize("change", ["table", "key", "columns"])
def test_another_target_of_the_same_query_is_filled(crm: Workbench, change: str) -> None:
    crm.execute(
        "CREATE TABLE other AS TABLE target; CREATE UNIQUE INDEX ON other (id);"
        "ALTER TABLE target ADD extra int UNIQUE; UPDATE target SET extra = 10 - id"
    )
    query = "SELECT id, 10 - id AS extra, source, 'n'::text AS name FROM sources"
    fill(crm, query, "source")
    crm.apply_well()
    match change:
        case "table":
            fill(crm, query, "source", table=RelationName("public", "other"))
        case "key":
            fill(crm, query, "source", key=("extra",))
        case _:
            fill(crm, query, "source", "name")
    drift = look_for_drift(crm.session.connection(), crm.views)
    fills = "what stands fills public.target (source) by (id)"
    assert [(each.aspect, each.message) for each in drift] == [(Aspect.DEFINITION, fills)]
    assert crm.apply_well()[:2] == [("replace", "m"), ("refresh", "m")]
    if change == "table":
        assert crm.one("SELECT count(source) FROM other") == 9
    if change == "columns":
        assert crm.one("SELECT count(*) FROM target WHERE name = 'n'") == 9


def test_a_query_with_other_types_is_built_anew(crm: Workbench) -> None:
    crm.apply_well()
    fill(crm, "SELECT id::bigint AS id, 'x'::varchar(3) AS source FROM base", "source")
    assert crm.apply_well()[:2] == [("swap", "m"), ("populate", "m")]
    assert filled(crm) == ["x"] * 9 + [None]


def test_a_changed_upstream_takes_them_along(crm: Workbench) -> None:
    crm.apply_well()
    crm.redefine("sources", query="SELECT id, source || '!' AS source FROM base")
    steps = crm.apply_well()
    assert steps[0][0] == "swap"
    assert ("refresh", "m") in steps
    assert filled(crm)[0] == "s1!"


def test_more_columns_are_filled_from_then_on(crm: Workbench) -> None:
    crm.apply_well()
    fill(crm, "SELECT id, source, DATE '2026-01-01' AS since FROM sources", "source", "since")
    crm.apply_well()
    assert crm.one("SELECT count(since) FROM target") == 9


def test_what_others_do_to_the_query_is_drift(crm: Workbench) -> None:
    crm.apply_well()
    crm.execute("CREATE OR REPLACE VIEW refresher.m_columns AS SELECT 1 AS id, 'x' AS source")
    found = look_for_drift(crm.session.connection(), crm.views)
    assert [(each.view, each.aspect) for each in found] == [("m", Aspect.DEFINITION)]


def test_nobody_else_may_read_the_query(crm: Workbench) -> None:
    crm.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
    crm.apply_well()
    acl = crm.one("SELECT relacl::text[] FROM pg_class WHERE relname = 'm_columns'")
    assert [entry for entry in acl or () if not entry.startswith("postgres=")] == []


def test_destroy_leaves_what_was_filled(crm: Workbench) -> None:
    crm.apply_well()
    crm.execute("CREATE TABLE refresher.m_stage (number bigint)")
    destroy(crm.session, crm.views, ["m"])
    assert filled(crm) == EXPECTED
    assert crm.execute("SELECT relname FROM pg_class WHERE relname ~ '^m_'") == []


def test_a_renamed_view_keeps_what_it_knows(crm: Workbench) -> None:
    crm.apply_well()
    del crm.views["m"]
    fill(crm, "SELECT id, source FROM sources", "source", name="fresh", renamed_from="m")
    assert crm.apply_well() == [("rename", "fresh")]
    assert crm.one("SELECT count(*) FROM refresher.run WHERE view = 'fresh'") == 1


@pytest.mark.parametrize(
    ("query", "columns", "said"),
    [
        ("SELECT id, source FROM sources", ("sourc",), "has no column sourc; add it"),
        (
            "SELECT id, source, 1 AS a, 2 AS b FROM sources",
            ("a", "b"),
            "has no columns a, b; add it",
        ),
        ("SELECT id, 1 AS g FROM base", ("g",), "generates column g itself"),
        ("SELECT id, source FROM base", ("since",), "its query returns no column since"),
        ("SELECT source FROM base", ("source",), "its query returns no column id"),
        ("SELECT id, now() AS source FROM base", ("since",), "its query returns no column since"),
        ("SELECT id, ARRAY[1] AS since FROM base", ("since",), "is of type date but expression"),
        ("SELECT 'a'::text AS id, source FROM base", ("source",), "operator does not exist"),
        ("SELECT id, source FROM target", ("source",), "it reads the columns it fills"),
        ("SELECT id, source FROM list", ("source",), "it reads the columns it fills, through list"),
        (
            "SELECT 1 AS id, min(source) AS source FROM best",
            ("source",),
            "it reads the columns it fills, through best, through list",
        ),
        (
            "SELECT id, row_to_json(t)::text AS source FROM target AS t",
            ("source",),
            "it reads the columns it fills",
        ),
    ],
)
def test_what_can_not_be_filled(
    crm: Workbench, query: str, columns: tuple[str, ...], said: str
) -> None:
    fill(crm, query, *columns)
    with pytest.raises(ConfigError) as caught:
        crm.plan()
    assert said in str(caught.value)
    assert "sql/m.sql: 'm': " in str(caught.value)


def test_a_query_may_read_what_it_does_not_fill(crm: Workbench) -> None:
    fill(crm, "SELECT id, name AS source FROM target", "source")
    crm.apply_well()
    assert filled(crm) == [f"n{n}" for n in range(1, 11)]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TABLE target CASCADE", "there is no table public.target"),
        ("ALTER TABLE target DROP CONSTRAINT target_pkey", "has no unique index on column id"),
        (
            (
                "ALTER TABLE target DROP CONSTRAINT target_pkey;"
                "CREATE UNIQUE INDEX ON target (id) WHERE id > 0"
            ),
            "has no unique index on column id",
        ),
        (
            (
                "ALTER TABLE target DROP CONSTRAINT target_pkey;"
                "ALTER TABLE target ADD UNIQUE (id) DEFERRABLE"
            ),
            "has no unique index on column id",
        ),
        ("CREATE TABLE child () INHERITS (target)", "other tables inherit from public.target"),
        (
            "ALTER TABLE target ALTER source SET DEFAULT now()::text",
            "the default of source in public.target",
        ),
        (
            "CREATE SEQUENCE s; ALTER TABLE target ALTER source SET DEFAULT nextval('s')::text",
            "the default of source in public.target",
        ),
        (
            (
                "CREATE DOMAIN moment AS text DEFAULT now()::text;"
                "ALTER TABLE target ALTER source TYPE moment"
            ),
            "the default of source in public.target",
        ),
        (
            (
                "DROP TABLE target CASCADE;"
                "CREATE TABLE target (id int, name text, source text, UNIQUE (id, source))"
                " PARTITION BY LIST (source)"
            ),
            "has no unique index on column id",
        ),
        (
            (
                "DROP TABLE target CASCADE; CREATE TABLE whole (id int, source text)"
                " PARTITION BY LIST (source);"
                "CREATE TABLE target PARTITION OF whole DEFAULT; CREATE UNIQUE INDEX ON target (id)"
            ),
            "public.target is partitioned by column source",
        ),
        (
            "CREATE RULE also AS ON UPDATE TO target DO ALSO NOTIFY written",
            "public.target can't be filled from it: DO ALSO rules are not supported",
        ),
        (
            "CREATE RULE never AS ON UPDATE TO target DO INSTEAD NOTHING",
            "public.target can't be filled from it: cannot perform UPDATE RETURNING",
        ),
        (
            "DROP TABLE target CASCADE; CREATE VIEW target AS SELECT 1 AS id, '' AS source",
            "public.target is no table",
        ),
    ],
)
def test_tables_that_can_not_be_filled(crm: Workbench, statement: str, said: str) -> None:
    crm.views = {name: crm.views[name] for name in ("sources", "m")}
    crm.execute(statement)
    with pytest.raises(ConfigError) as caught:
        crm.plan()
    assert said in str(caught.value)


def test_a_constant_default_is_what_rows_without_a_value_hold(crm: Workbench) -> None:
    crm.execute("ALTER TABLE target ALTER source SET DEFAULT 'unknown'")
    crm.apply_well()
    assert filled(crm)[-1] == "unknown"


def test_a_partitioned_table_is_filled_but_for_its_partition_key(crm: Workbench) -> None:
    crm.execute(
        "DROP TABLE target CASCADE;"
        "CREATE TABLE target (id int PRIMARY KEY, name text, source text) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF target FOR VALUES FROM (0) TO (5);"
        "CREATE TABLE high PARTITION OF target FOR VALUES FROM (5) TO (100);"
        "INSERT INTO target SELECT n, 'n' || n FROM generate_series(1, 10) AS n"
    )
    crm.apply_well()
    assert filled(crm) == EXPECTED


def test_who_may_not_write_the_columns_is_told_what_to_grant(crm: Workbench) -> None:
    crm.apply_well()
    crm.execute(
        "CREATE ROLE filler LOGIN; GRANT ALL ON SCHEMA public, refresher TO filler;"
        "GRANT ALL ON ALL TABLES IN SCHEMA refresher TO filler;"
        "GRANT SELECT ON base, sources, best, list TO filler; GRANT SELECT (id) ON target TO filler"
    )
    try:
        crm.work_as("filler")
        with pytest.raises((ConfigError, PlanError)) as caught:
            crm.plan()
        grant = "GRANT SELECT (id, source), UPDATE (source) ON public.target TO filler"
        assert grant in str(caught.value)
    finally:
        crm.session.discard()
        crm.execute("DROP OWNED BY filler; DROP ROLE filler")


def test_who_may_read_and_write_nothing_else_of_the_table_fills_it(crm: Workbench) -> None:
    crm.views = {}
    fill(crm, "SELECT id, source FROM base", "source")
    crm.execute(
        "CREATE ROLE sparing LOGIN; GRANT ALL ON SCHEMA refresher TO sparing;"
        "GRANT ALL ON ALL TABLES IN SCHEMA refresher TO sparing;"
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA refresher TO sparing;"
        "GRANT SELECT ON base TO sparing;"
        "GRANT SELECT (id, source), UPDATE (source) ON target TO sparing"
    )
    try:
        crm.work_as("sparing")
        assert crm.apply_well() == [("create", "m"), ("populate", "m")]
        assert crm.one("SELECT count(*) FROM target WHERE source IS NOT NULL") > 0
    finally:
        crm.session.discard()
        crm.execute("DROP OWNED BY sparing; DROP ROLE sparing")


def test_rows_that_a_policy_lets_nobody_write_are_told(crm: Workbench) -> None:
    crm.views = {}
    fill(
        crm,
        "SELECT id, source FROM base",
        "source",
        timeouts=Timeouts(statement=timedelta(milliseconds=500)),
    )
    crm.execute(
        "ALTER TABLE target ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY reading ON target FOR SELECT USING (true);"
        "CREATE POLICY writing ON target FOR UPDATE USING (id <> 3);"
        "CREATE ROLE ruled LOGIN; GRANT ALL ON SCHEMA refresher TO ruled;"
        "GRANT ALL ON ALL TABLES IN SCHEMA refresher TO ruled;"
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA refresher TO ruled;"
        "GRANT SELECT ON base TO ruled; GRANT SELECT, UPDATE ON target TO ruled"
    )
    try:
        crm.work_as("ruled")
        assert "a policy lets refresher's role read but not write them" in crm.errors()["m"]
        assert filled(crm)[:4] == ["s1", "s2", None, "s1"]
    finally:
        crm.session.discard()
        crm.execute("DROP OWNED BY ruled; DROP ROLE ruled")
