"""The watch outlives what keeps it from looking, and says so once."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from refresher.daemon.watch import Watch
from refresher.events import DriftFound, DriftGone, DriftUnknown, Event
from refresher.store.drift import Watched, read_watched
from tests.conftest import Database
from tests.shop import Shop, open_shop
from tests.waiting import wait_until

_VIEW = "best_customers"


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    with open_shop(database) as opened:
        # The shop's views stand, but their definitions are empty.
        query = "SELECT * FROM per_customer WHERE sales > 5"
        opened.views = {_VIEW: replace(opened.views[_VIEW], query=query, comment="as configured")}
        opened.execute(f"COMMENT ON VIEW {_VIEW} IS 'as configured'")
        yield opened


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def watch(shop: Shop, database: Database, events: list[Event]) -> Iterator[Watch]:
    made = Watch("crm", database.endpoint, shop.views, emit=events.append)
    made.start()
    yield made
    made.stop()


def watched(shop: Shop) -> Watched:
    return read_watched(shop.connection, [_VIEW])[_VIEW]


def look(watch: Watch, shop: Shop) -> Watched:
    """Have it look, and wait until it has."""
    before = shop.execute("SELECT clock_timestamp() AS now")[0]["now"]
    watch.look()

    def looked() -> Watched | None:
        found = watched(shop)
        return found if found.looked_at and found.looked_at > before else None

    found = wait_until(looked, 30, what="a look")
    assert found is not None
    return found


def test_it_begins_when_it_is_asked_to(watch: Watch, shop: Shop, events: list[Event]) -> None:
    assert watched(shop) == Watched()

    assert look(watch, shop).drift == ()

    assert events == []


def test_what_keeps_it_from_looking_is_said_once(
    watch: Watch, shop: Shop, events: list[Event]
) -> None:
    look(watch, shop)
    (view,) = shop.views.values()

    watch.replace_views({_VIEW: replace(view, owner="no_such_role")})
    wait_until(lambda: watched(shop).problem, 30, what="the problem")
    watch.look()
    (told,) = wait_until(lambda: list(events), 30, what="the event")
    assert isinstance(told, DriftUnknown)
    assert "CREATE ROLE no_such_role" in told.problem

    watch.replace_views(shop.views)
    assert look(watch, shop).problem is None
    assert events == [told]


def test_a_connection_that_breaks_costs_one_look(
    watch: Watch, shop: Shop, events: list[Event]
) -> None:
    look(watch, shop)
    killed = shop.execute(
        "SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity"
        " WHERE application_name = 'refresher watch' AND datname = current_database()"
    )
    assert [row["done"] for row in killed] == [True]
    shop.execute(f"COMMENT ON VIEW {_VIEW} IS 'by hand'")

    assert [drift.aspect for drift in look(watch, shop).drift] == ["comment"]

    shop.execute(f"COMMENT ON VIEW {_VIEW} IS 'as configured'")
    assert look(watch, shop).drift == ()
    wait_until(lambda: len(events) == 2, 10, what="both events")
    assert [type(event) for event in events] == [DriftFound, DriftGone]
