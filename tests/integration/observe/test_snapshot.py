import time
from dataclasses import replace
from datetime import timedelta

import pytest

from refresher.config.model import Checks
from refresher.freshness import State
from refresher.runs import Outcome, Strategy
from refresher.store import presence
from tests.conftest import Database
from tests.shop import Shop

ROW = (
    "database view relation kind state as_of data_as_of staleness_seconds target_lag_seconds"
    " max_staleness_seconds last_run next_due_at waiting paused running rows_done rows_total"
    " broken_checks drift drift_looked_at drift_problem refreshed_outside_at"
)


def test_nothing_is_known_of_what_was_never_populated(shop: Shop) -> None:
    snapshot = shop.snapshot()
    view = snapshot.views["per_customer"]

    assert list(snapshot.views) == list(shop.views)
    assert view.state(snapshot.read_at) is State.UNKNOWN
    assert view.staleness(snapshot.read_at) is None
    assert (view.last_run, view.last_ended, view.last_success_at) == (None, None, None)
    assert (view.rows, view.tallies, view.consecutive_failures) == (None, {}, 0)
    assert view.next_due_at is not None
    assert view.next_due_at <= snapshot.read_at
    assert snapshot.views["best_customers"].state(snapshot.read_at) is State.UNKNOWN


def test_a_refresh_shows_in_every_number(shop: Shop) -> None:
    run = shop.refresh("per_customer")

    snapshot = shop.snapshot()
    view = snapshot.views["per_customer"]

    assert view.last_run == view.last_ended == run
    assert view.last_success_at == run.finished_at
    assert view.data_as_of(snapshot.read_at) == run.as_of
    assert view.state(snapshot.read_at) is State.FRESH
    assert view.rows == 10
    assert view.bytes == run.bytes
    assert view.dead_rows == 0
    assert view.max_staleness == timedelta(hours=2, minutes=10)
    assert view.next_due_at is not None
    assert view.next_due_at > snapshot.read_at
    assert view.tallies == {
        ("runs", "full/succeeded"): 1,
        ("rows", "insert"): 10,
        ("misfires", ""): 3,
    }
    assert view.stored.owner == shop.execute("SELECT current_user::text AS me")[0]["me"]


def test_a_plain_view_is_as_old_as_what_it_reads(shop: Shop) -> None:
    run = shop.refresh("per_customer")

    snapshot = shop.snapshot()
    later = snapshot.read_at + timedelta(hours=1)
    above, live = snapshot.views["best_customers"], snapshot.views["sales_now"]

    assert above.data_as_of(later) == run.as_of
    assert live.data_as_of(later) == later
    assert live.staleness(later) == timedelta()
    assert live.state(later) is State.FRESH


def test_staleness_reaches_through_plain_views(shop: Shop) -> None:
    bottom = shop.refresh("per_customer")
    top = shop.refresh("totals")
    assert bottom.as_of is not None
    assert top.as_of is not None
    assert top.as_of > bottom.as_of

    snapshot = shop.snapshot()

    assert snapshot.views["totals"].data_as_of(snapshot.read_at) == bottom.as_of


def test_it_agrees_with_the_view_applications_read(shop: Shop) -> None:
    shop.refresh("per_customer")
    shop.refresh("totals")

    snapshot = shop.snapshot()
    rows = {row["view"]: row for row in shop.execute("SELECT * FROM refresher.freshness")}

    for name, view in snapshot.views.items():
        row = rows[name]
        now = snapshot.read_at
        assert view.state(now).value == row["state"]
        assert view.stored.as_of == row["as_of"]
        assert view.max_staleness == row["max_staleness"]
        assert (view.data_as_of(now) is None) == (row["data_as_of"] is None)
        if not view.live:
            assert view.data_as_of(now) == row["data_as_of"]


def test_what_waits_says_for_what(shop: Shop) -> None:
    snapshot = shop.snapshot()

    assert snapshot.views["totals"].waiting == "waits for per_customer: not refreshed yet"
    assert snapshot.views["sales_now"].waiting is None


def test_what_reads_contents_that_nobody_refreshes_is_unknown(shop: Shop) -> None:
    shop.execute("CREATE OR REPLACE VIEW sales_now AS SELECT count(*) AS sales FROM nobodys")

    snapshot = shop.snapshot()

    assert snapshot.views["sales_now"].state(snapshot.read_at) is State.UNKNOWN


def test_missing_and_mistaken_relations_are_told_apart_from_managed_ones(shop: Shop) -> None:
    shop.execute("DROP VIEW sales_now; CREATE TABLE sales_now (sales int)")

    snapshot = shop.snapshot()

    missing = {name for name, view in snapshot.views.items() if view.missing}
    assert missing == {"absent", "sales_now"}
    absent = snapshot.views["absent"]
    assert absent.state(snapshot.read_at) is State.UNKNOWN
    assert (absent.stored.owner, absent.bytes, absent.rows) == (None, None, None)


def test_contents_of_a_recreated_view_are_unknown(shop: Shop) -> None:
    shop.refresh("per_customer")
    shop.execute(
        "DROP MATERIALIZED VIEW per_customer CASCADE;"
        "CREATE MATERIALIZED VIEW per_customer AS SELECT 1 AS customer; ANALYZE per_customer"
    )

    snapshot = shop.snapshot()
    view = snapshot.views["per_customer"]

    assert view.state(snapshot.read_at) is State.UNKNOWN
    assert view.stored.populated
    assert view.rows == 1


def test_failures_are_counted_until_a_success(shop: Shop) -> None:
    success = shop.refresh("per_customer")
    shop.execute("ALTER TABLE sale RENAME TO sale_; ALTER MATERIALIZED VIEW totals RENAME TO t")
    failed = [shop.refresh("totals"), shop.refresh("totals")]

    snapshot = shop.snapshot()
    view = snapshot.views["totals"]

    assert [run.outcome for run in failed] == [Outcome.FAILED, Outcome.FAILED]
    assert view.last_ended == failed[-1]
    assert view.consecutive_failures == 2
    assert view.tallies == {("runs", "/failed"): 2, ("failures", "definition"): 2}
    assert view.broken_checks == ()
    assert snapshot.views["per_customer"].last_ended == success

    shop.execute("ALTER MATERIALIZED VIEW t RENAME TO totals")
    shop.refresh("totals")
    cured = shop.snapshot().views["totals"]

    assert cured.consecutive_failures == 0
    assert cured.last_ended is not None
    assert cured.last_ended.outcome is Outcome.SUCCEEDED


def test_a_cancelled_run_does_not_hide_the_one_before(shop: Shop) -> None:
    success = shop.refresh("per_customer")
    _open_run(shop, "cancelled")

    view = shop.snapshot().views["per_customer"]

    assert view.last_run is not None
    assert view.last_run.outcome is Outcome.CANCELLED
    assert view.last_ended == success


def test_broken_checks_show_until_a_refresh_succeeds(shop: Shop) -> None:
    checks = Checks(min_rows=11, unique=(("sales",),), not_null=("customer",))
    shop.views["per_customer"] = replace(shop.views["per_customer"], checks=checks)
    first = shop.refresh("per_customer")
    second = shop.refresh("per_customer")

    broken = shop.snapshot().views["per_customer"].broken_checks

    assert [each.check for each in broken] == ["min_rows", "unique"]
    assert {each.broken_since for each in broken} == {first.finished_at}
    assert {each.checked_at for each in broken} == {second.finished_at}

    checks = Checks(min_rows=11)
    shop.views["per_customer"] = replace(shop.views["per_customer"], checks=checks)
    (broken_still,) = shop.snapshot().views["per_customer"].broken_checks
    assert broken_still.message == "10 rows, fewer than min_rows 11"

    shop.execute("INSERT INTO sale VALUES (101, 11)")
    assert shop.refresh("per_customer").outcome is Outcome.SUCCEEDED
    assert shop.snapshot().views["per_customer"].broken_checks == ()


def _open_run(shop: Shop, outcome: str | None, failure: str | None = None) -> None:
    shop.connection.execute(
        "INSERT INTO refresher.run (view, due_at, trigger, attempt, worker, outcome, failure)"
        " VALUES ('per_customer', now(), 'manual', 1, 'w', %s, %s)",
        (outcome, failure),
    )


def test_a_refresh_in_flight_is_seen_and_not_waited_for(shop: Shop, database: Database) -> None:
    success = shop.refresh("per_customer")
    with database.connect() as other:
        _open_run(shop, None)
        other.execute("BEGIN")
        other.execute("UPDATE refresher.fence SET taken_at = now() WHERE view = 'per_customer'")
        other.execute("REFRESH MATERIALIZED VIEW per_customer")
        began = time.monotonic()

        snapshot = shop.snapshot()
        view = snapshot.views["per_customer"]

        assert time.monotonic() - began < 5
        assert view.stored.running
        assert view.last_run is not None
        assert view.running_since == view.last_run.started_at
        assert view.last_ended == success
        assert view.bytes == success.bytes
        assert view.waiting == "running"
        other.execute("ROLLBACK")

    assert shop.snapshot().views["per_customer"].running_since is None


def test_pauses_replicas_and_strangers(shop: Shop) -> None:
    shop.execute(
        "INSERT INTO refresher.pause (view, until, paused_by) VALUES"
        " ('per_customer', now() + interval '1 hour', 'me'),"
        " ('totals', now() - interval '1 hour', 'me')"
    )
    for worker in ("w/1", "w/2"):
        presence.beat(shop.connection, worker=worker, kind="daemon", views=shop.views)
    presence.beat(shop.connection, worker="w/3", kind="command", views=shop.views)

    snapshot = shop.snapshot()

    assert snapshot.views["per_customer"].paused
    assert not snapshot.views["totals"].paused
    assert snapshot.replicas == 2
    assert snapshot.unmanaged_views == 1


def test_the_clock_is_the_databases(shop: Shop) -> None:
    before = shop.execute("SELECT clock_timestamp() AS now")[0]["now"]
    snapshot = shop.snapshot()
    after = shop.execute("SELECT clock_timestamp() AS now")[0]["now"]

    assert before < snapshot.read_at < after
    assert abs(snapshot.clock_offset) < 1  # one machine, one clock
    later = snapshot.now(snapshot.read_at_monotonic + 90)
    assert later == snapshot.read_at + timedelta(seconds=90)
    assert 0 < snapshot.read_seconds < 10


def test_one_view_as_json(shop: Shop) -> None:
    run = shop.refresh("per_customer")
    snapshot = shop.snapshot()
    now = snapshot.read_at + timedelta(seconds=30)
    rows = {name: view.as_json(now) for name, view in snapshot.views.items()}

    assert {tuple(row) for row in rows.values()} == {tuple(ROW.split())}
    assert run.as_of is not None
    row = rows["per_customer"]
    assert row["staleness_seconds"] == (now - run.as_of).total_seconds()
    assert row["last_run"]["strategy"] == Strategy.FULL
    assert row | {"staleness_seconds": 0, "last_run": {}, "next_due_at": ""} == {
        "database": "crm",
        "view": "per_customer",
        "relation": "public.per_customer",
        "kind": "materialized_view",
        "state": "fresh",
        "as_of": run.as_of.isoformat(),
        "data_as_of": run.as_of.isoformat(),
        "staleness_seconds": 0,
        "target_lag_seconds": None,
        "max_staleness_seconds": 7800,
        "last_run": {},
        "next_due_at": "",
        "waiting": None,
        "paused": False,
        "running": False,
        "rows_done": None,
        "rows_total": None,
        "broken_checks": [],
        "drift": None,
        "drift_looked_at": None,
        "drift_problem": None,
        "refreshed_outside_at": None,
    }
    assert rows["absent"]["last_run"] is None
    assert rows["absent"]["staleness_seconds"] is None


@pytest.mark.parametrize("isolation", ["serializable", "read committed"])
def test_the_roles_defaults_do_not_matter(shop: Shop, isolation: str) -> None:
    shop.execute(f"SET default_transaction_isolation = '{isolation}'; SET lock_timeout = 0")
    shop.execute("SET default_transaction_deferrable = on")

    assert len(shop.snapshot().views) == 5
    assert shop.execute("SHOW lock_timeout") == [{"lock_timeout": "0"}]
