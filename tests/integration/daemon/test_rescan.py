"""What is done behind a daemon's back is noticed at the next look, however many views there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Every, Manual, Secret
from refresher.daemon.database import DatabaseLoop
from refresher.daemon.rescan import Rescan
from refresher.events import DatabaseUp, Event, RunFinished, ViewDegraded
from refresher.graph import Graph
from refresher.observe.vitals import Vitals
from refresher.runs import Outcome
from refresher.schedule.aims import Aim
from refresher.store.control import pause, request, resume
from tests.conftest import Database
from tests.shop import Shop, open_shop
from tests.waiting import wait_until

MANY = 1500
"""With so many views nobody's turn comes by chance: that takes a minute."""
SOON = 20.0
"""It takes two seconds, but for what else the machine does."""
EVERY_SECOND = Every(every=timedelta(seconds=1))


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    """Many more views than those of the shop; of each of the others nothing stands."""
    with open_shop(database) as shop:
        some = shop.views["per_customer"]
        for number in range(MANY):
            name = f"zz_{number}"
            relation = replace(some.relation, name=name)
            shop.views[name] = replace(some, name=name, relation=relation, schedule=Manual())
        yield shop


class Watched:
    """A loop that has looked at all views once."""

    def __init__(self, shop: Shop, database: Database) -> None:
        self.events: list[Event] = []
        vitals = Vitals()
        vitals.keep_databases(["crm"])
        self.loop = DatabaseLoop(
            DatabaseConfig(alias="crm", conninfo=Secret(database.conninfo)),
            database.endpoint,
            shop.views,
            worker="host/1/abc",
            emit=self.events.append,
            vitals=vitals,
            prepare=lambda *_: None,
        )
        self.loop.start()
        try:
            wait_until(lambda: DatabaseUp(database="crm") in self.events, SOON)
            wait_until(lambda: vitals.scheduler_last_tick, SOON)
        except BaseException:
            self.loop.stop()
            raise

    def successes(self, view: str) -> int:
        ends = [event.run for event in self.events if isinstance(event, RunFinished)]
        return sum(run.view == view and run.outcome is Outcome.SUCCEEDED for run in ends)

    def problems(self, view: str) -> list[str]:
        degraded = [event for event in self.events if isinstance(event, ViewDegraded)]
        return [event.problem for event in degraded if event.view == view]

    @contextmanager
    def refreshing(self, view: str) -> Iterator[None]:
        """Wait until the view has been refreshed once more since the beginning of the block."""
        before = self.successes(view)
        yield
        wait_until(lambda: self.successes(view) > before, SOON, what=f"a refresh of {view}")


@pytest.fixture
def watched(shop: Shop, database: Database) -> Iterator[Watched]:
    shop.views["per_customer"] = replace(shop.views["per_customer"], schedule=Manual())
    watched = Watched(shop, database)
    yield watched
    watched.loop.stop()


def test_a_request(shop: Shop, watched: Watched) -> None:
    for _ in range(2):
        with watched.refreshing("per_customer"):
            request(shop.connection, "per_customer", strategy=None, by="somebody")


def test_a_refresh_by_another_replica_of_what_a_view_reads(shop: Shop, watched: Watched) -> None:
    with watched.refreshing("totals"):
        shop.refresh("per_customer")


def test_a_relation_that_is_dropped_and_made_again(shop: Shop, watched: Watched) -> None:
    shop.execute("ALTER MATERIALIZED VIEW per_customer RENAME TO elsewhere")
    wait_until(lambda: watched.problems("per_customer"), SOON, what="a view that is missing")
    request(shop.connection, "per_customer", strategy=None, by="somebody")
    with watched.refreshing("per_customer"):
        shop.execute("ALTER MATERIALIZED VIEW elsewhere RENAME TO per_customer")


def test_pausing_and_resuming(shop: Shop, database: Database) -> None:
    shop.views["per_customer"] = replace(shop.views["per_customer"], schedule=EVERY_SECOND)
    watched = Watched(shop, database)
    try:
        with watched.refreshing("per_customer"):
            pass
        pause(shop.connection, "per_customer", duration=timedelta(hours=1), by="somebody")
        wait_until(lambda: _at_rest(shop, watched), SOON, what="a view at rest")
        with watched.refreshing("per_customer"):
            resume(shop.connection, "per_customer")
        pause(shop.connection, "per_customer", duration=timedelta(seconds=5), by="somebody")
        wait_until(lambda: _at_rest(shop, watched), SOON, what="a view at rest")
        with watched.refreshing("per_customer"):
            pass
    finally:
        watched.loop.stop()


def _at_rest(shop: Shop, watched: Watched) -> bool:
    """Whether no refresh begins for longer than its schedule allows."""
    before = watched.successes("per_customer")
    shop.execute("SELECT pg_sleep(1.5)")
    return watched.successes("per_customer") == before


def test_no_look_reads_more_than_it_must(shop: Shop) -> None:
    rescan = Rescan(worker="host/1/abc")
    graph = Graph({name: frozenset() for name in shop.views}, frozenset(shop.views))
    assert rescan.next(shop.connection, shop.views, graph, {}) == shop.views.keys()
    rescan.looked({}, {}, shop.snapshot().read_at)
    seen = [rescan.next(shop.connection, shop.views, graph, {}) for _ in range(3)]
    assert max(map(len, seen)) <= 260, "50 in turn, and 200 that nobody has looked at"
    request(shop.connection, "zz_1499", strategy=None, by="somebody")
    assert "zz_1499" in rescan.next(shop.connection, shop.views, graph, {})


def test_a_graph_that_is_another_has_every_view_looked_at(shop: Shop) -> None:
    rescan = Rescan(worker="host/1/abc")
    graph = Graph({name: frozenset() for name in shop.views}, frozenset(shop.views))
    rescan.next(shop.connection, shop.views, graph, {})
    other = Graph({**graph.reads, "totals": frozenset({"per_customer"})}, graph.refreshed)
    assert rescan.next(shop.connection, shop.views, other, {}) == shop.views.keys()


def test_views_whose_aim_begins_or_ends_are_looked_at(shop: Shop) -> None:
    rescan = Rescan(worker="host/1/abc")
    graph = Graph({name: frozenset() for name in shop.views}, frozenset(shop.views))
    aims = {"zz_1499": Aim(timedelta(minutes=5), timedelta(), "totals")}
    rescan.next(shop.connection, shop.views, graph, {})
    assert "zz_1499" in rescan.next(shop.connection, shop.views, graph, aims)
    assert "zz_1499" not in rescan.next(shop.connection, shop.views, graph, aims)
    assert "zz_1499" in rescan.next(shop.connection, shop.views, graph, {})
