"""The SQL that the pages show runs, and says what they say."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.pages import DOCS, blocks, codes, name_of, rows, section

FRESHNESS = DOCS / "freshness.md"


@pytest.mark.parametrize("page", [FRESHNESS, DOCS / "operations.md"], ids=name_of)
def test_sql_runs(page: Path, database: Database, make_role: Callable[..., str]) -> None:
    role = make_role("dashboard")
    with database.connect() as connection:
        connection.execute("CREATE MATERIALIZED VIEW customer_sources AS SELECT 1 AS customer_id")
        connection.execute("CREATE TABLE customer_engagement_metrics (customer_id bigint)")
        connection.execute(
            'CREATE VIEW refresher."public.customer_totals" AS SELECT 1 AS customer_id'
        )
        for block in blocks(page, "sql"):
            # Each by itself: some are ways out of the same trouble.
            with connection.transaction(force_rollback=True):
                connection.execute(re.sub(r"\bdashboard\b", role, block.text))


def test_whoever_is_granted_freshness_sees_that_and_nothing_else(
    database: Database, make_role: Callable[..., str]
) -> None:
    role = make_role("dashboard")
    grants, *_ = blocks(FRESHNESS, "sql")
    with database.connect() as connection:
        connection.execute(re.sub(r"\bdashboard\b", role, grants.text))
        tables = connection.execute(
            "SELECT relname, has_table_privilege(%s, c.oid, 'SELECT') AS readable"
            " FROM pg_class AS c WHERE relnamespace = 'refresher'::regnamespace"
            " AND relkind IN ('r', 'v')",
            [role],
        ).fetchall()
    with database.connect_as(role) as connection:
        connection.execute("SELECT * FROM refresher.freshness")
    assert [row["relname"] for row in tables if row["readable"]] == ["freshness"]


def test_the_columns_of_freshness_are_the_documented_ones(database: Database) -> None:
    with database.connect() as connection:
        columns = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
            " WHERE attrelid = 'refresher.freshness'::regclass ORDER BY attnum"
        ).fetchall()
    documented = rows(section(FRESHNESS, "Asking in SQL"))
    assert [(codes(row[0])[0], row[1]) for row in documented] == [
        (column["attname"], column["type"]) for column in columns
    ]
