from dataclasses import replace
from datetime import timedelta
from typing import Any

from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Manual, Secret
from refresher.observe.follower import Follower
from refresher.observe.model import DatabaseSnapshot, ViewSnapshot
from refresher.store.control import pause, request, resume
from refresher.store.drift import DriftRecord, record_drift
from refresher.store.verdicts import record_verdicts
from tests.conftest import Database
from tests.shop import Shop

CRM = DatabaseConfig(alias="crm", conninfo=Secret("host=nowhere"))
MANY = 2000
"""More views than are read for no reason each time."""


class Crowd:
    """A follower of a shop that has many more views, none of which is there."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        some = shop.views["per_customer"]
        crowd = {
            name: replace(
                some, name=name, relation=replace(some.relation, name=name), schedule=Manual()
            )
            for name in (f"zz_{number}" for number in range(MANY))
        }
        self.views = {**shop.views, **crowd}
        self.follower = Follower(CRM)
        # It is nobody's turn but the crowd's.
        self.read()
        self.read()

    def read(self) -> DatabaseSnapshot:
        return self.follower.read(self.shop.connection, self.views)

    def now(self, name: str) -> ViewSnapshot:
        return self.read().views[name]


def same(followed: ViewSnapshot, read: ViewSnapshot) -> bool:
    """But for what is only known to be so at a moment."""
    return replace(followed, next_due_at=None) == replace(read, next_due_at=None)


def test_what_is_followed_is_what_is_read(shop: Shop) -> None:
    follower = Follower(CRM)
    steps: list[Any] = [
        lambda: shop.refresh("per_customer"),
        lambda: shop.refresh("totals"),
        lambda: pause(shop.connection, "totals", duration=timedelta(hours=1), by="me"),
        lambda: shop.refresh("per_customer"),
        lambda: resume(shop.connection, "totals"),
        lambda: request(shop.connection, "totals", strategy=None, by="me"),
        lambda: record_drift(
            shop.connection, shop.views, [DriftRecord(view="totals", aspect="owner", message="!")]
        ),
        lambda: record_drift(shop.connection, shop.views, []),
        lambda: shop.execute("DROP MATERIALIZED VIEW totals"),
    ]
    for step in steps:
        step()
        followed = follower.read(shop.connection, shop.views)
        read = shop.snapshot()
        assert list(followed.views) == list(read.views)
        for name, view in read.views.items():
            assert same(followed.views[name], view), name
        assert followed.unmanaged_views == read.unmanaged_views
        assert followed.replicas == read.replicas


def test_of_many_only_those_are_read_that_something_happened_to(shop: Shop) -> None:
    crowd = Crowd(shop)
    before = crowd.read()

    shop.refresh("per_customer")

    after = crowd.read()
    read = {name for name, view in after.views.items() if view is not before.views[name]}
    assert {"per_customer", "totals", "best_customers"} <= read
    assert len(read) <= 60
    assert after.views["per_customer"].last_success_at is not None


def test_of_many_each_change_shows_at_the_next_look(shop: Shop, database: Database) -> None:
    crowd = Crowd(shop)
    shop.refresh("per_customer")
    assert crowd.now("per_customer").tallies["rows", "insert"] == 10
    with database.connect() as other:
        pause(other, "per_customer", duration=timedelta(hours=1), by="me")
        assert crowd.now("per_customer").paused
        resume(other, "per_customer")
        assert not crowd.now("per_customer").paused
        record_drift(other, ["per_customer"], [])
        assert crowd.now("per_customer").watched.looked_at is not None
        record_verdicts(other, "best_customers", {"min_rows": None})
        other.execute("DROP MATERIALIZED VIEW per_customer CASCADE")
        assert crowd.now("per_customer").missing


def test_a_new_configuration_is_read_whole(shop: Shop) -> None:
    crowd = Crowd(shop)
    crowd.views = dict(shop.views)
    snapshot = crowd.read()
    assert list(snapshot.views) == list(shop.views)
    assert same(snapshot.views["totals"], shop.snapshot().views["totals"])


def test_what_nobody_tells_of_shows_when_a_views_turn_comes(shop: Shop) -> None:
    shop.refresh("per_customer")
    crowd = Crowd(shop)
    before = crowd.now("per_customer").bytes
    shop.execute("CREATE INDEX ON per_customer (customer)")
    assert crowd.now("per_customer").bytes == before
    sizes = [crowd.now("per_customer").bytes for _ in range(60)]
    assert before is not None
    assert sizes[-1] is not None
    assert sizes[-1] > before
