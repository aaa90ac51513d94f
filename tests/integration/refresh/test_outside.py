"""Refreshes by others are seen, and refresher's own are never taken for one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from refresher.config.model import Checks, View
from refresher.postgres.sessions import Connection
from refresher.runs import Outcome
from refresher.store.drift import read_watched
from refresher.store.outside import see_refreshed_outside
from tests.conftest import Database
from tests.integration.refresh.conftest import Workshop
from tests.waiting import wait_until

_COUNTED = """
SELECT pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
    + pg_stat_get_tuples_deleted(c.oid) AS found
FROM pg_class AS c WHERE c.relname = 'v'
"""


@pytest.fixture
def view(workshop: Workshop) -> View:
    return workshop.view("v", "SELECT id, v FROM t")


@pytest.fixture
def watcher(database: Database) -> Iterator[Connection]:
    with database.connect() as connection:
        yield connection


def do_elsewhere(database: Database, statement: str) -> None:
    """As somebody else, who leaves afterwards: what is counted is told then, on every major."""
    with database.connect() as other:
        other.execute(statement.encode())


def change(workshop: Workshop) -> None:
    workshop.execute("UPDATE t SET v = v + 1")


def all_counted(workshop: Workshop, *, more: int = 0) -> None:
    """Wait until every row is counted that refresher wrote, and some more."""
    workshop.session.discard()
    expected = workshop.execute("SELECT rows_written AS found FROM refresher.state")[0]["found"]
    wait_until(
        lambda: workshop.execute(_COUNTED)[0]["found"] >= expected + more,
        what=f"{expected} and {more} rows to be counted",
    )


def seen(watcher: Connection, workshop: Workshop) -> tuple[str, ...]:
    return see_refreshed_outside(watcher, workshop.views)


def wait_until_seen(watcher: Connection, workshop: Workshop) -> None:
    assert wait_until(lambda: seen(watcher, workshop), 30) == ("v",)


@pytest.mark.parametrize(
    "statement",
    [
        "REFRESH MATERIALIZED VIEW v",
        pytest.param("REFRESH MATERIALIZED VIEW CONCURRENTLY v", marks=pytest.mark.pg(">= 15")),
    ],
)
def test_somebody_elses_refresh_is_seen_once_and_leaves_as_of(
    workshop: Workshop, view: View, database: Database, watcher: Connection, statement: str
) -> None:
    run = workshop.refresh(view)
    assert seen(watcher, workshop) == ()

    workshop.session.discard()  # until then PostgreSQL 14 does not count what it wrote
    change(workshop)
    do_elsewhere(database, statement)
    wait_until_seen(watcher, workshop)

    assert seen(watcher, workshop) == ()
    assert read_watched(watcher, ["v"])["v"].refreshed_outside_at is not None
    assert workshop.state(view).as_of == run.as_of

    change(workshop)
    do_elsewhere(database, statement)
    wait_until_seen(watcher, workshop)

    workshop.refresh(view)
    assert read_watched(watcher, ["v"])["v"].refreshed_outside_at is None
    all_counted(workshop)
    assert seen(watcher, workshop) == ()


def test_of_several_who_look_one_tells(
    workshop: Workshop, view: View, database: Database, watcher: Connection
) -> None:
    workshop.refresh(view)
    do_elsewhere(database, "REFRESH MATERIALIZED VIEW v")
    all_counted(workshop, more=10)

    with database.connect() as other:
        assert seen(watcher, workshop) == ("v",)
        assert seen(other, workshop) == ()


@pytest.mark.parametrize("strategy", ["full", "concurrent"])
def test_our_own_are_never_taken_for_one(
    workshop: Workshop, view: View, watcher: Connection, strategy: str
) -> None:
    view = replace(view, allow_blocking=True)
    for _ in range(20):
        change(workshop)
        workshop.refresh(view, strategy=strategy)
        assert seen(watcher, workshop) == ()

    all_counted(workshop)
    assert seen(watcher, workshop) == ()


def test_rewriting_it_is_no_refresh(
    workshop: Workshop, view: View, database: Database, watcher: Connection
) -> None:
    workshop.refresh(view)
    all_counted(workshop)

    for statement in ("VACUUM FULL v", "CLUSTER v USING v_id_idx", "ANALYZE v"):
        do_elsewhere(database, statement)
        assert seen(watcher, workshop) == ()


def test_what_was_rolled_back_is_no_refresh_and_hides_no_plain_one(
    workshop: Workshop, view: View, database: Database, watcher: Connection
) -> None:
    workshop.refresh(view)
    change(workshop)
    checked = replace(view, checks=Checks(min_rows=11))
    assert workshop.refresh(checked, strategy="concurrent").outcome is Outcome.FAILED
    all_counted(workshop, more=20)  # ten rows deleted, ten inserted, and none of it stands

    assert seen(watcher, workshop) == ()

    do_elsewhere(database, "REFRESH MATERIALIZED VIEW v")
    wait_until_seen(watcher, workshop)


def test_counters_that_were_reset_raise_no_alarm_and_are_relied_on_again(
    workshop: Workshop, view: View, database: Database, watcher: Connection
) -> None:
    workshop.refresh(view)
    all_counted(workshop)
    workshop.execute("SELECT pg_stat_reset()")
    wait_until(lambda: workshop.execute(_COUNTED)[0]["found"] == 0)
    assert seen(watcher, workshop) == ()

    change(workshop)
    workshop.refresh(view)
    all_counted(workshop)
    assert seen(watcher, workshop) == ()

    change(workshop)
    do_elsewhere(database, "REFRESH MATERIALIZED VIEW v")
    wait_until_seen(watcher, workshop)


def test_contents_that_are_not_ours_are_nobodys_refresh(
    workshop: Workshop, view: View, watcher: Connection
) -> None:
    workshop.execute("REFRESH MATERIALIZED VIEW v")
    assert seen(watcher, workshop) == ()

    workshop.refresh(view)
    workshop.execute(
        "DROP MATERIALIZED VIEW v; CREATE MATERIALIZED VIEW v AS SELECT id, v FROM t;"
        " REFRESH MATERIALIZED VIEW v"
    )
    assert seen(watcher, workshop) == ()

    workshop.execute("DROP MATERIALIZED VIEW v")
    assert seen(watcher, workshop) == ()
