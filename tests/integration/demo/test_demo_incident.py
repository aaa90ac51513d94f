"""The incident and its cure, on a hundredth of the incident's data."""

import hashlib
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from refresher.config.model import Secret
from refresher.demo import crm, incident
from refresher.demo.packaged import packaged
from refresher.demo.place import Place, own_place

CUSTOMERS = crm.customers_at(0.01)
FINGERPRINT = "5fd9affaeb7b8b9a3f4b9ffdfc9fcce3020c634156207f80e197198b64319a46"

MATERIALIZED_VIEW = sql.SQL("CREATE MATERIALIZED VIEW {} AS {}")
VIEW = sql.SQL("CREATE VIEW {} AS {}")
FILL = sql.SQL(
    "UPDATE customer_engagement_metrics AS m SET source = q.source,"
    " customer_since = q.customer_since FROM ({}) AS q WHERE m.customer_id = q.customer_id"
)

TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname
"""
CONTENTS = sql.SQL('SELECT {}, t::text FROM {} AS t ORDER BY t::text COLLATE "C"')


@pytest.fixture(scope="module")
def replayed(demo_server: Secret) -> Iterator[Place]:
    """The CRM with the pre-fix list under another name, and the cured one beside it."""
    with own_place(demo_server, keep=False) as place:
        crm.load(place.owner, customers=CUSTOMERS, on_step=lambda _: None)
        incident.create_view(place.owner)
        with psycopg.connect(place.owner.reveal()) as connection:
            connection.execute("ALTER VIEW customers_crm_v RENAME TO before_v")
            for statement, name in (
                (MATERIALIZED_VIEW, "customer_sources"),
                (MATERIALIZED_VIEW, "source_performance"),
                (VIEW, "customers_crm_v"),
            ):
                query = packaged("sql", f"{name}.sql")
                connection.execute(statement.format(sql.Identifier(name), query))
        yield place


@pytest.fixture
def owner(replayed: Place) -> Iterator[psycopg.Connection]:
    with psycopg.connect(replayed.owner.reveal()) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        yield connection
        connection.rollback()


def test_the_data_are_the_same_everywhere_and_always(owner: psycopg.Connection) -> None:
    fingerprint = hashlib.sha256()
    for (table,) in owner.execute(TABLES).fetchall():
        for row in owner.execute(CONTENTS.format(table, sql.Identifier(table))):
            fingerprint.update(repr(row).encode())
    assert fingerprint.hexdigest() == FINGERPRINT


def test_there_are_four_orders_a_customer_and_some_customers_have_none(
    owner: psycopg.Connection,
) -> None:
    counts = owner.execute(
        "SELECT (SELECT count(*) FROM customer_profiles), (SELECT count(*) FROM customer_orders_v),"
        " (SELECT count(*) FROM customer_sources WHERE source IS NULL) > 30"
    ).fetchone()
    assert counts == (CUSTOMERS, 4 * CUSTOMERS, True)


def test_emails_meet_only_without_case_and_blanks(owner: psycopg.Connection) -> None:
    as_typed, normalised = (
        owner.execute(
            "SELECT count(*) FROM customer_orders_v AS o WHERE EXISTS ("
            f"SELECT FROM customer_emails AS e WHERE {expression})"
        ).fetchone()
        for expression in ("e.email = o.email", "lower(trim(e.email)) = lower(trim(o.email))")
    )
    assert as_typed is not None
    assert normalised is not None
    assert 0 < as_typed[0] < normalised[0] < 4 * CUSTOMERS


def test_the_cured_list_says_exactly_what_the_old_one_said(owner: psycopg.Connection) -> None:
    fill = FILL.format(packaged("sql", "customer_metrics.sql"))
    assert owner.execute(fill).rowcount == CUSTOMERS
    before = owner.execute("SELECT * FROM before_v ORDER BY id")
    after = owner.execute("SELECT * FROM customers_crm_v ORDER BY id")
    assert [column.name for column in after.description or ()] == [
        column.name for column in before.description or ()
    ]
    assert len(after.description or ()) == 43
    rows = after.fetchall()
    assert len(rows) == CUSTOMERS
    assert rows == before.fetchall()


def test_every_source_is_accounted_for(owner: psycopg.Connection) -> None:
    totals = owner.execute(
        "SELECT sum(customers), sum(orders), sum(revenue) FROM source_performance"
    ).fetchone()
    assert (
        totals
        == owner.execute(
            "SELECT (SELECT count(source) FROM customer_sources), count(*), sum(total)"
            " FROM customer_orders_v"
        ).fetchone()
    )


def test_the_cured_page_reads_its_rows_in_index_order(owner: psycopg.Connection) -> None:
    owner.execute("SET LOCAL enable_seqscan = off")  # a hundredth of the data fits in a few pages
    plan = owner.execute("EXPLAIN (COSTS OFF) " + incident.PAGE_SQL).fetchall()
    lines = [line.strip() for (line,) in plan]
    assert any("idx_customer_engagement_metrics_last_order_date" in line for line in lines)
    assert lines[0] == "Limit"
    assert "Nested Loop" in lines[1]
