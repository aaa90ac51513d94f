from datetime import timedelta
from typing import Any

import psycopg
import pytest

from refresher.config.model import Secret
from refresher.demo import crm
from refresher.demo.place import Place
from refresher.demo.writer import Writer
from tests.waiting import wait_until

CUSTOMERS = crm.customers_at(0.001)
TOTALS = """
    SELECT
        (SELECT count(*) FROM customer_orders_v),
        (SELECT count(*) FROM web_order_items),
        (SELECT sum(total_orders) FROM customer_engagement_metrics),
        (SELECT max(last_order_date) FROM customer_engagement_metrics) < now() - interval '1 day'
"""


@pytest.fixture
def loaded(place: Place) -> Place:
    crm.load(place.owner, customers=CUSTOMERS, on_step=lambda _: None)
    return place


def totals(owner: Secret) -> tuple[Any, ...]:
    with psycopg.connect(owner.reveal()) as connection:
        row = connection.execute(TOTALS).fetchone()
        assert row is not None
        return row


def test_orders_come_in_until_it_is_stopped(loaded: Place) -> None:
    before = totals(loaded.owner)
    writer = Writer(loaded.owner, customers=CUSTOMERS, pause=timedelta(milliseconds=1))
    with writer.running():
        wait_until(lambda: writer.orders >= 3)
    written = writer.orders
    assert totals(loaded.owner) == (*(count + written for count in before[:3]), False)
    assert before[3] is True
    assert writer.failed == 0


def test_it_goes_on_when_the_database_comes_back(loaded: Place) -> None:
    writer = Writer(loaded.owner, customers=CUSTOMERS, pause=timedelta(milliseconds=1))
    with writer.running(), psycopg.connect(loaded.owner.reveal(), autocommit=True) as connection:
        wait_until(lambda: writer.orders >= 2)
        ended = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        assert ended is not None
        assert ended[0] >= 1
        written = writer.orders
        wait_until(lambda: writer.orders >= written + 3)


def test_an_order_that_fails_is_counted(loaded: Place) -> None:
    writer = Writer(loaded.owner, customers=CUSTOMERS, pause=timedelta(milliseconds=1))
    with writer.running(), psycopg.connect(loaded.owner.reveal(), autocommit=True) as connection:
        connection.execute("ALTER TABLE web_orders RENAME TO elsewhere")
        wait_until(lambda: writer.failed >= 3)
        connection.execute("ALTER TABLE elsewhere RENAME TO web_orders")
        written = writer.orders
        wait_until(lambda: writer.orders >= written + 3)


def test_the_first_order_is_there_when_it_begins(loaded: Place) -> None:
    writer = Writer(loaded.owner, customers=CUSTOMERS, pause=timedelta(hours=1))
    before = totals(loaded.owner)
    with writer.running():
        assert totals(loaded.owner)[0] == before[0] + 1
