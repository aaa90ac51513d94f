"""The checks of plain views, judged by a daemon's thread for them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from refresher.config.model import Checks, Column, Kind, Timeouts, View
from refresher.daemon.checking import Checker
from refresher.events import CheckBroken, CheckMended, Event, ViewDegraded
from refresher.graph import Graph
from refresher.postgres.sessions import Connection
from refresher.store.migrate import migrate
from refresher.store.registry import register
from refresher.store.verdicts import read_broken_checks, read_judged, take_turn
from tests.conftest import Database
from tests.unit import builders
from tests.waiting import wait_until

OFTEN = timedelta(milliseconds=100)


@dataclass
class Site:
    """A database with plain views, and daemons' checkers."""

    database: Database
    connection: Connection
    stack: ExitStack
    views: dict[str, View] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def execute(self, statement: str) -> None:
        self.connection.execute(statement.encode())

    def view(self, name: str = "v", *, timeouts: Timeouts | None = None, **checks: Any) -> View:
        """Configure a plain view with these checks."""
        self.views[name] = builders.view(
            name,
            kind=Kind.VIEW,
            checks=Checks(**{"every": timedelta(hours=1), **checks}),
            timeouts=timeouts or Timeouts(),
        )
        graph = Graph({known: frozenset() for known in self.views}, frozenset())
        register(self.connection, self.views, graph, max_parallel=1)
        return self.views[name]

    def check(self, emit: Callable[[Event], None] | None = None) -> Checker:
        """A checker at work."""
        checker = Checker(
            "crm", self.database.endpoint, self.views, emit=emit or self.events.append
        )
        checker.start()
        self.stack.callback(checker.stop)
        checker.look()
        return checker

    def broken(self, name: str = "v") -> list[str]:
        found = read_broken_checks(self.connection, [name]).get(name, ())
        return [each.check for each in found]

    def judged(self, name: str = "v") -> datetime | None:
        return read_judged(self.connection, [name])[name].at

    def wait_until_judged(self, name: str = "v", *, after: datetime | None = None) -> datetime:
        """Wait for a judgement later than one; returns when it was."""

        def later() -> datetime | None:
            judged = self.judged(name)
            return judged if after is None or judged != after else None

        judged = wait_until(later, 20, what=f"{name} to be judged")
        assert judged is not None
        return judged

    def wait_for(self, event: Event) -> None:
        wait_until(lambda: event in self.events, 20, what=repr(event))

    def active(self) -> int:
        """How many statements of checkers are under way."""
        row = self.connection.execute(
            "SELECT count(*) AS active FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'refresher checks' AND state = 'active'"
        ).fetchone()
        assert row is not None
        active: int = row["active"]
        return active


@pytest.fixture
def site(database: Database) -> Iterator[Site]:
    with database.connect() as connection, ExitStack() as stack:
        yield Site(database, connection, stack)


def test_what_is_broken_is_stored_and_told_once(site: Site) -> None:
    site.execute("CREATE VIEW v AS SELECT 1 AS id")
    site.view(columns=(Column("id"), Column("name")), min_rows=1, every=OFTEN)

    site.check()
    once = site.wait_until_judged()
    site.wait_until_judged(after=once)

    assert site.broken() == ["columns"]
    assert site.events == [
        CheckBroken(database="crm", view="v", check="columns", message="1 of 2 are missing: name")
    ]
    site.execute("CREATE OR REPLACE VIEW v AS SELECT 1 AS id, 'ann' AS name")
    site.wait_for(CheckMended(database="crm", view="v", check="columns"))
    assert site.broken() == []


def test_a_view_is_judged_as_often_as_it_says(site: Site) -> None:
    site.execute("CREATE VIEW often AS SELECT 1 AS id; CREATE VIEW seldom AS SELECT 1 AS id")
    site.view("often", min_rows=1, every=OFTEN)
    site.view("seldom", min_rows=1)

    site.check()
    once = site.wait_until_judged("seldom")
    often = site.wait_until_judged("often")
    for _ in range(3):
        often = site.wait_until_judged("often", after=often)

    assert site.judged("seldom") == once


def test_changed_checks_are_judged_at_once(site: Site) -> None:
    site.execute("CREATE VIEW v AS SELECT 1 AS id; CREATE VIEW w AS SELECT 1 AS id")
    site.view("v", min_rows=1)
    site.view("w", min_rows=1)
    checker = site.check()
    before = site.wait_until_judged("v")
    changed = site.wait_until_judged("w")

    site.view("w", min_rows=2)
    checker.replace_views(site.views)
    site.wait_until_judged("w", after=changed)

    assert site.broken("w") == ["min_rows"]
    assert site.judged("v") == before


def test_a_daemon_that_starts_judges_at_once(site: Site) -> None:
    site.execute("CREATE VIEW v AS SELECT 1 AS id")
    site.view(min_rows=1)
    site.check()
    first = site.wait_until_judged()
    site.check()
    site.wait_until_judged(after=first)


def test_verdicts_of_a_view_without_checks_are_forgotten(site: Site) -> None:
    site.execute("CREATE VIEW v AS SELECT 1 AS id")
    site.view(min_rows=2)
    checker = site.check()
    site.wait_until_judged()
    assert site.broken() == ["min_rows"]

    site.view()
    checker.replace_views(site.views)

    wait_until(lambda: site.judged() is None, what="the verdicts to go")
    assert site.broken() == []


def test_of_two_replicas_one_judges(site: Site) -> None:
    site.execute("CREATE VIEW v AS SELECT 1 AS id")
    site.view(min_rows=2, every=OFTEN)
    other: list[Event] = []
    site.check()
    site.check(other.append)
    judged = site.wait_until_judged()
    for _ in range(5):
        judged = site.wait_until_judged(after=judged)

    assert len(site.events) + len(other) == 1


def test_who_judges_already_is_not_waited_for(site: Site, database: Database) -> None:
    site.execute("CREATE VIEW v AS SELECT 1 AS id; CREATE VIEW w AS SELECT 1 AS id")
    site.view("v", min_rows=1)
    site.view("w", min_rows=1)
    with database.connect() as other, other.transaction():
        take_turn(other, "v")
        site.check()
        site.wait_until_judged("w")
        assert site.judged("v") is None


def test_what_is_missing_is_told_and_judged_once_it_is_there(site: Site) -> None:
    site.view(min_rows=1)
    checker = site.check()
    site.wait_for(
        ViewDegraded(
            database="crm",
            view="v",
            problem="its checks can't be judged: public.v does not exist; run `refresher apply`",
        )
    )
    assert site.judged() is None

    site.execute("CREATE VIEW v AS SELECT 1 AS id")
    checker.replace_views(site.views)
    site.wait_until_judged()
    assert site.broken() == []


def test_a_lock_breaks_no_check_and_delays_no_other_view_for_long(
    site: Site, database: Database
) -> None:
    site.execute(
        "CREATE TABLE t AS SELECT 1 AS id; CREATE VIEW v AS SELECT id FROM t;"
        " CREATE VIEW w AS SELECT 1 AS id"
    )
    site.view("v", min_rows=2, timeouts=Timeouts(lock=timedelta(milliseconds=50)))
    site.view("w", min_rows=1)
    with database.connect() as other, other.transaction():
        other.execute("LOCK TABLE t")
        site.check()
        site.wait_until_judged("w")
        (told,) = site.events
        assert isinstance(told, ViewDegraded)
        assert "lock timeout" in told.problem
        assert site.judged("v") is None


def test_a_view_that_takes_too_long_is_broken(site: Site) -> None:
    site.execute("CREATE VIEW v AS SELECT pg_sleep(60)::text AS nap")
    timeouts = Timeouts(statement=timedelta(milliseconds=50))
    site.view(columns=(Column("nap"),), not_null=("nap",), timeouts=timeouts)
    site.check()
    site.wait_for(
        CheckBroken(
            database="crm",
            view="v",
            check="not_null",
            message="it can't be judged: canceling statement due to statement timeout",
        )
    )


def test_what_is_cancelled_to_stop_is_not_broken(site: Site) -> None:
    site.execute("CREATE VIEW v AS SELECT pg_sleep(60)::text AS nap")
    site.view(not_null=("nap",))
    checker = site.check()
    wait_until(site.active, 20, what="the check to begin")

    began = time.monotonic()
    checker.stop()

    assert time.monotonic() - began < 10
    wait_until(lambda: not site.active(), 20, what="the check to end")
    assert site.judged() is None
    assert site.events == []


def test_a_store_that_is_not_there_yet_is_waited_for(bare_database: Database) -> None:
    with bare_database.connect() as connection, ExitStack() as stack:
        site = Site(bare_database, connection, stack)
        connection.execute("CREATE VIEW v AS SELECT 1 AS id")
        site.views["v"] = builders.view("v", kind=Kind.VIEW, checks=Checks(min_rows=2))
        checker = site.check()
        migrate(connection)
        checker.look()
        site.wait_for(
            CheckBroken(
                database="crm", view="v", check="min_rows", message="1 rows, fewer than min_rows 2"
            )
        )


def test_a_bug_in_a_listener_does_not_end_the_checks(site: Site) -> None:
    site.execute("CREATE VIEW v AS SELECT 1 AS id")
    site.view(min_rows=2, every=OFTEN)
    told = threading.Event()

    def stumble(_: Event) -> None:
        told.set()
        raise KeyError

    checker = site.check(stumble)
    assert told.wait(20)
    site.execute("CREATE OR REPLACE VIEW v AS SELECT * FROM (VALUES (1), (2)) AS v (id)")
    checker.look()
    wait_until(lambda: site.broken() == [], 20, what="the check to be judged again")
