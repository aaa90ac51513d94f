"""The incident's list lost 21 of its 43 columns in a migration, and nobody saw."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files

import pytest
from psycopg import sql

from refresher.config.load import load_config
from refresher.daemon.checking import Checker
from refresher.demo.packaged import packaged
from refresher.events import CheckBroken, CheckMended, Event
from refresher.graph import Graph
from refresher.store.registry import register
from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.waiting import wait_until

COLUMNS = """
    id customer_number name first_name last_name company vat_number language date_of_birth status
    account_manager marketing_consent notes created_at updated_at email email_verified emails
    email_count phone phone_kind phones street house_number postal_code city region country
    address_count first_seen_at last_seen_at total_orders total_spent average_order_value
    first_order_date last_order_date total_tickets open_tickets last_ticket_at engagement_score
    customer_segments source customer_since
""".split()  # noqa: SIM905 - a list literal of these would fill the screen
LOST = COLUMNS[22:]
CUT = """
SELECT
    cp.id, cp.customer_number, cp.first_name || ' ' || cp.last_name AS name, cp.first_name,
    cp.last_name, cp.company, cp.vat_number, cp.language, cp.date_of_birth, cp.status,
    cp.account_manager, cp.marketing_consent, cp.notes, cp.created_at, cp.updated_at,
    e.email, e.verified AS email_verified, NULL::text[] AS emails, 1::bigint AS email_count,
    p.phone, p.kind AS phone_kind, NULL::text[] AS phones
FROM customer_profiles AS cp
LEFT JOIN customer_emails AS e ON e.customer_id = cp.id AND e.is_primary
LEFT JOIN customer_phones AS p ON p.customer_id = cp.id AND p.is_primary
"""
"""What the migration left of it: 22 columns."""

MESSAGE = f"21 of 43 are missing: {', '.join(LOST)}"


def query(name: str) -> str:
    return packaged("sql", f"{name}.sql").as_string()


@pytest.fixture
def crm(commands: Commands, database: Database) -> Commands:
    """The CRM as the incident had it once it was cured, its list demanding all 43 columns."""
    with database.connect() as connection:
        connection.execute(packaged("schema.sql"))
    configure(commands, query("customers_crm_v"))
    commands.apply()
    return commands


def configure(commands: Commands, list_query: str) -> None:
    views = {name: {"kind": "view", "query": query(name)} for name in ["customer_orders_v"]}
    sources = {"kind": "materialized_view", "key": ["customer_id"]}
    commands.configure(
        {
            **views,
            "customer_sources": {**sources, "query": query("customer_sources")},
            "customers_crm_v": {
                "kind": "view",
                "query": list_query,
                "checks": {"columns": COLUMNS, "every": "1s"},
            },
        }
    )


def test_the_list_has_43_columns(crm: Commands) -> None:
    assert (len(COLUMNS), len(LOST)) == (43, 21)
    with as_file(files("refresher.demo")) as folder:
        shipped = load_config(folder / "config.yaml", {"DATABASE_URL": "dbname=crm"})
    demanded = shipped.views["customers_crm_v"].checks.columns
    assert [column.name for column in demanded] == COLUMNS
    checked = crm.run("validate", "--database", "--json")
    assert (checked.code, checked.json()["errors"]) == (0, [])


def test_a_definition_that_lost_21_is_found_before_it_is_deployed(
    crm: Commands, database: Database
) -> None:
    configure(crm, CUT)

    checked = crm.run("validate", "--database", "--json")

    assert checked.code == 2
    (error,) = checked.json()["errors"]
    assert error.endswith(
        f"sql/customers_crm_v.sql: 'customers_crm_v' would break its check columns: {MESSAGE}"
    )
    told = crm.run("validate", "--database")
    assert told.code == 2
    assert MESSAGE in told.stderr
    with database.connect() as connection:
        row = connection.execute("SELECT * FROM customers_crm_v LIMIT 0")
        assert [column.name for column in row.description or ()] == COLUMNS


def test_a_migration_past_refresher_is_found_by_the_daemon(
    crm: Commands, database: Database
) -> None:
    with database.connect() as connection, checking(crm, database) as events:
        replace = sql.SQL("DROP VIEW customers_crm_v; CREATE VIEW customers_crm_v AS {query}")
        connection.execute(replace.format(query=sql.SQL(CUT)))

        broken = CheckBroken(
            database="crm", view="customers_crm_v", check="columns", message=MESSAGE
        )
        wait_until(lambda: broken in events, 20, what="the check to break")

        shown = crm.run("status", "customers_crm_v")
        assert "broken checks: columns" in shown.stdout.splitlines()[1]
        assert shown.stdout.splitlines()[2].endswith(MESSAGE)
        (row,) = json.loads(crm.run("status", "customers_crm_v", "--json").stdout)
        (told,) = row["broken_checks"]
        assert (told["check"], told["message"]) == ("columns", MESSAGE)

        crm.apply()
        mended = CheckMended(database="crm", view="customers_crm_v", check="columns")
        wait_until(lambda: mended in events, 20, what="the check to be mended")
        (row,) = crm.run("status", "customers_crm_v", "--json").json()
        assert row["broken_checks"] == []


@contextmanager
def checking(commands: Commands, database: Database) -> Iterator[list[Event]]:
    """A daemon's checks of what is configured."""
    config = load_config(commands.folder / "config.yaml", commands.environment)
    views = config.views_of("crm")
    with database.connect() as connection:
        graph = Graph({name: frozenset() for name in views}, frozenset())
        register(connection, views, graph, max_parallel=1)
    events: list[Event] = []
    checker = Checker("crm", database.endpoint, views, emit=events.append)
    checker.start()
    try:
        checker.look()
        yield events
    finally:
        checker.stop()
