"""What a reload replaces ends what it has at work, and nobody takes that for lost."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from refresher.config.model import Config, Manual, Secret, Timeouts
from refresher.config.model import Database as DatabaseConfig
from refresher.daemon.fleet import Fleet
from refresher.events import ConfigOutdated, DatabaseUp, Event, RunFinished
from refresher.observe.latest import Latest
from refresher.observe.vitals import Vitals
from refresher.runs import Outcome
from refresher.store.control import request
from tests.conftest import Database
from tests.shop import Shop, open_shop
from tests.waiting import wait_until


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    with open_shop(database) as shop:
        patient = Timeouts(lock=timedelta(minutes=1))
        for name in ("per_customer", "totals"):
            shop.views[name] = replace(shop.views[name], schedule=Manual(), timeouts=patient)
        shop.refresh("per_customer")
        yield shop


def test_a_run_of_a_loop_that_retires_is_not_lost(shop: Shop, database: Database) -> None:
    events: list[Event] = []
    vitals = Vitals()
    fleet = Fleet(
        worker="host/1/abc",
        emit=events.append,
        vitals=vitals,
        latest=Latest(),
        prepare=lambda *_: None,
    )

    def follow(max_parallel: int) -> None:
        crm = DatabaseConfig(
            alias="crm", conninfo=Secret(database.conninfo), max_parallel=max_parallel
        )
        fleet.follow(Config(path=Path(), files=(), databases={"crm": crm}, views=shop.views))

    def ends(view: str) -> list[Outcome | None]:
        runs = [event.run for event in events if isinstance(event, RunFinished)]
        return [run.outcome for run in runs if run.view == view]

    def ask_for(view: str) -> None:
        request(shop.connection, view, strategy=None, by="somebody")

    try:
        with database.connect() as etl:
            follow(1)
            wait_until(lambda: DatabaseUp(database="crm") in events, 30, what="a loop")
            etl.execute("BEGIN")
            etl.execute("LOCK TABLE sale")
            ask_for("per_customer")
            # It waits for the table, and has no fence yet.
            begun = "SELECT id FROM refresher.run WHERE outcome IS NULL"
            wait_until(lambda: shop.execute(begun), 30, what="a run that waits")
            shop.execute(
                "UPDATE refresher.run SET started_at = started_at - interval '11 s'"
                " WHERE outcome IS NULL"
            )
            follow(2)
            ask_for("totals")
            shop.execute("DELETE FROM refresher.request WHERE view = 'per_customer'")
            wait_until(lambda: ends("totals"), 30, what="a loop that follows the other")
            assert ends("per_customer") == []
            etl.execute("ROLLBACK")
        wait_until(lambda: ends("per_customer"), 30, what="the end of what was at work")
        assert ends("per_customer") == [Outcome.SUCCEEDED]
        assert not [event for event in events if isinstance(event, ConfigOutdated)]
    finally:
        fleet.stop()
