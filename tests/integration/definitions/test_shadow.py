"""Queries through twins against the same queries as PostgreSQL takes them."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from refresher.definitions.template import Template
from refresher.definitions.twins import Twins
from refresher.names import RelationName
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.integration.definitions.conftest import Workbench

PAID, OTHER, ODD = (
    RelationName("crm", "paid"),
    RelationName("other", "paid"),
    RelationName("crm", 'Odd "x"'),
)
VIEWS = {
    PAID: "SELECT id, paid FROM public.orders WHERE id < 7",
    OTHER: "SELECT id, paid FROM public.orders WHERE id % 2 = 0",
    ODD: "SELECT id, paid FROM public.orders WHERE id % 3 = 0",
}
SPELLINGS = {
    PAID: ["crm.paid", 'CRM . "paid"', '"crm".Paid'],
    OTHER: ["other.paid", '"other"."paid"'],
    ODD: ['crm."Odd ""x"""'],
    RelationName("public", "orders"): ["public.orders", "orders"],
}
ALIASES = ["p", "paid", "crm", "orders", '"Odd ""x"""', "position", '"left"']


@st.composite
def relations(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Something to read, and what its columns may be qualified by."""
    relation = draw(st.sampled_from(list(SPELLINGS)))
    whole = draw(st.sampled_from(SPELLINGS[relation]))
    name = whole.rpartition(".")[2].strip()
    written = draw(st.sampled_from([whole, whole, name]))
    alias = draw(st.sampled_from([None, None, *ALIASES]))
    if alias is None:
        return written, [whole, name]
    return f"{written} {draw(st.sampled_from(['', 'AS ']))}{alias}", [alias]


@st.composite
def queries(draw: st.DrawFn, outer: tuple[str, ...] = (), depth: int = 2) -> str:
    """Queries of the columns id and paid, most of them valid."""
    items = draw(st.lists(relations(), min_size=1, max_size=2))
    if depth and draw(st.booleans()):
        alias = draw(st.sampled_from([*ALIASES, "s"]))
        lateral = draw(st.sampled_from(["", "LATERAL "]))
        known = tuple(known for _, names in items for known in names) if lateral else ()
        items.append((f"{lateral}({draw(queries(known, depth - 1))}) AS {alias}", [alias]))
    own = [draw(st.sampled_from(names)) for _, names in items]
    listed = items[0][0]
    for written, _ in items[1:]:
        joined = draw(st.sampled_from([", {}", " JOIN {} USING (id)", " LEFT JOIN {} ON {}"]))
        listed += joined.format(written, draw(conditions(own, outer, 0)))
    columns = draw(st.sampled_from(["{0}.id, {1}.paid", "{0}.*", "{0}.id AS id, {1}.paid paid"]))
    selected = columns.format(own[0], own[-1])
    condition = draw(conditions(own, outer, depth))
    query = f"SELECT {selected} FROM {listed} WHERE {condition}"
    if depth and draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(["paid", "c", "orders"]))
        query = f"WITH {name} AS ({draw(queries((), depth - 1))}) {query}"
    return query


@st.composite
def conditions(draw: st.DrawFn, own: list[str], outer: tuple[str, ...], depth: int) -> str:
    left, right = draw(st.sampled_from(own)), draw(st.sampled_from([*own, *outer]))
    simple = [
        f"{left}.id = {right}.id",
        f"{left}.paid IS DISTINCT FROM {right}.paid",
        f"extract(day FROM now()) > 0 AND {left}.paid >= {right}.paid",
        f"{left}.id > 0 /* FROM crm.paid */ AND ' FROM crm.paid' <> $$crm.paid$$",
        f"(NULL::crm.paid).id IS NULL AND {left}.id IN ({right}.id, {right}.paid)",
    ]
    if depth and draw(st.booleans()):
        inner = draw(queries((*own, *outer), depth - 1))
        return draw(
            st.sampled_from([f"EXISTS ({inner})", f"({left}.id, {right}.paid) IN ({inner})"])
        )
    return draw(st.sampled_from(simple))


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE public.orders AS SELECT n AS id, n * 10 % 7 AS paid"
            " FROM generate_series(1, 12) AS n"
        )
        connection.execute("CREATE SCHEMA crm; CREATE SCHEMA other")
        for relation, query in VIEWS.items():
            connection.execute(f"CREATE VIEW {relation} AS {query}".encode())
        yield connection


def is_valid(connection: Connection, query: str) -> bool:
    with contextlib.suppress(psycopg.Error), connection.transaction():
        connection.execute(f"CREATE VIEW public.reality AS {query}".encode())
        return True
    return False


def meaning(connection: Connection, view: str) -> Mapping[str, Any] | None:
    """Columns, what is read to the column, and rows."""
    return connection.execute(
        f"""
        SELECT
            (SELECT array_agg((a.attname, a.atttypid)::text ORDER BY a.attnum)
                FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
            (SELECT array_agg(DISTINCT (d.refclassid, d.refobjid, d.refobjsubid)::text)
                FROM pg_depend AS d WHERE d.classid = 'pg_rewrite'::regclass
                AND d.objid = r.oid AND d.refobjid <> c.oid) AS reads,
            (SELECT array_agg(v::text ORDER BY v::text) FROM {view} AS v) AS rows
        FROM pg_class AS c JOIN pg_rewrite AS r ON r.ev_class = c.oid
        WHERE c.oid = '{view}'::regclass
        """.encode()
    ).fetchone()


def oids(connection: Connection) -> dict[str, int]:
    rows = connection.execute(
        "SELECT c.oid, n.nspname, c.relname FROM pg_class AS c"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('crm', 'other') AND c.relkind = 'v'"
    )
    return {str(RelationName(row["nspname"], row["relname"])): row["oid"] for row in rows}


@pytest.mark.parametrize("search_path", ["public", "crm, public", "other, public, crm"])
def test_a_query_through_twins_means_what_it_means(
    connection: Connection, search_path: str
) -> None:
    connection.execute(f"SET search_path = {search_path}".encode())
    standing = oids(connection)
    relations = {str(relation): relation for relation in VIEWS}
    told_apart: list[bool] = []

    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    @given(queries())
    def check(query: str) -> None:
        with connection.transaction(force_rollback=True):
            assume(is_valid(connection, query))
            wanted = meaning(connection, "public.reality")
            assert wanted is not None
            late = RelationName("public", "late")
            twins = Twins(connection, {**relations, "late": late}, standing, {})
            for relation, definition in VIEWS.items():
                twins.create(str(relation), definition)
            reads = twins.create("late", query)
            assert reads.twins | reads.standing == {
                label
                for label, oid in standing.items()
                if any(f",{oid}," in each for each in wanted["reads"])
            }
            told_apart.append(not reads.standing)
            twins.mark_all()
            template = Template(twins.read_facts()["late"].query, twins.labels)
            again = template.query(relations.__getitem__)
            connection.execute(f"CREATE VIEW public.again AS {again}".encode())
            assert meaning(connection, "public.again") == wanted

    check()
    assert sum(told_apart) > 30


def test_what_has_a_views_name_does_not_take_its_place(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE SCHEMA other;"
        " CREATE TABLE orders AS SELECT 1 AS id UNION SELECT 3;"
        " CREATE TABLE other.paid AS SELECT 1 AS id UNION SELECT 2"
    )
    workbench.define("paid", "SELECT id FROM orders")
    workbench.define(
        "within",
        "SELECT id FROM public.paid"
        " WHERE EXISTS (SELECT FROM other.paid WHERE other.paid.id = public.paid.id)",
    )
    workbench.define(
        "joined",
        "SELECT public.paid.id FROM public.paid JOIN other.paid ON public.paid.id = other.paid.id",
    )
    workbench.define("twice", "SELECT id FROM paid WHERE id IN (SELECT id FROM paid)")

    workbench.apply_well()

    assert workbench.execute("TABLE within") == [(1,)]
    assert workbench.execute("TABLE joined") == [(1,)]
    assert workbench.execute("TABLE twice ORDER BY id") == [(1,), (3,)]
    shown = workbench.one(
        "SELECT string_agg(pg_get_viewdef(oid), '') FROM pg_class WHERE relkind = 'm'"
    )
    assert "twin" not in shown

    workbench.define("paid", "SELECT id FROM orders WHERE id < 3")
    workbench.apply_well()

    assert workbench.execute("TABLE twice") == [(1,)]
    shown = workbench.one(
        "SELECT string_agg(pg_get_viewdef(oid), '') FROM pg_class WHERE relkind = 'm'"
    )
    assert "twin" not in shown
    assert "beside" not in shown


def test_a_column_of_what_goes_by_a_schemas_name_is_no_view(workbench: Workbench) -> None:
    workbench.execute("CREATE SCHEMA sales; CREATE TABLE lines AS SELECT 1 AS id, 2 AS total")
    workbench.define(
        "total",
        "SELECT sum(total) AS total FROM lines",
        relation=RelationName("sales", "total"),
    )
    workbench.define("listed", "SELECT sales.id, sales.total FROM lines AS sales")

    workbench.apply_well()

    assert workbench.execute("TABLE listed") == [(1, 2)]
