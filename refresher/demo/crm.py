"""The CRM of the incident: its tables, and data that are the same everywhere and always."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

import psycopg
from psycopg import sql

from refresher.config.model import Secret
from refresher.demo.packaged import packaged
from refresher.postgres.queries import load_queries

CUSTOMERS = 15_549
"""As many as the incident's list had."""
LARGEST_SCALE = 100
"""Above it the numbers of customers and orders outgrow their fixed width."""

LOADING_STEPS = (
    "choice",
    "customer_profiles",
    "customer_emails",
    "customer_phones",
    "customer_addresses",
    "segments",
    "customer_segment_links",
    "orders",
    "order_items",
    "web_orders",
    "web_order_numbers",
    "web_order_items",
    "store_orders",
    "store_order_lines",
    "marketplace_orders",
    "marketplace_order_items",
    "phone_orders",
    "phone_order_items",
    "customer_engagement_metrics",
    "statistics",
)
"""The queries of data.sql, in the order they must run."""

OnStep: TypeAlias = Callable[[str], None]
"""Called with the name of a step that begins."""

_QUERIES = load_queries("refresher.demo", "data.sql")
_TODAY = datetime(2025, 11, 21, tzinfo=UTC)
"""The day of the incident: every loaded date is counted back from it."""
_CREATE_ORDERS_VIEW = sql.SQL("CREATE VIEW customer_orders_v AS {query}")


def customers_at(scale: float) -> int:
    """How many customers a scale means.

    Raises:
        ValueError: if the scale is not above 0, or too large.
    """
    if not 0 < scale <= LARGEST_SCALE:
        message = f"a scale is above 0 and at most {LARGEST_SCALE}; 1 is the incident's own size"
        raise ValueError(message)
    return max(1, round(CUSTOMERS * scale))


def load(owner: Secret, *, customers: int, on_step: OnStep) -> None:
    """Create and fill the tables, all in one transaction."""
    with psycopg.connect(owner.reveal(), prepare_threshold=None) as connection:
        connection.execute(packaged("schema.sql"))
        orders = packaged("sql", "customer_orders_v.sql")
        connection.execute(_CREATE_ORDERS_VIEW.format(query=orders))
        for step in LOADING_STEPS:
            on_step(step)
            connection.execute(_QUERIES[step], {"customers": customers, "today": _TODAY})
