"""One refresh, as its record and its effect show it."""

from datetime import timedelta
from typing import Any

import pytest
from psycopg import sql

from refresher.config.model import Checks, Timeouts, View
from refresher.errors import FailureReason
from refresher.events import RunFinished, RunStarted
from refresher.postgres.sessions import Connection, Endpoint
from refresher.refresh.attempt import Attempt
from refresher.refresh.session import Session
from refresher.refresh.task import Ended, NotBegun, Obstacle
from refresher.runs import Outcome, Strategy, Trigger
from tests.waiting import wait_until

from .conftest import Background, Workshop


class _Overtaken(Session):
    """A worker's session that has another attempt go first, just before its own begins."""

    def __init__(self, endpoint: Endpoint, first: Attempt) -> None:
        super().__init__(endpoint, worker="test/overtaken")
        self._first = first

    def local_settings(self, timeouts: Timeouts) -> sql.SQL:
        assert isinstance(self._first.run(), Ended)
        return super().local_settings(timeouts)


ENDLESS = "SELECT id, v FROM t, LATERAL (SELECT pg_sleep(max(seconds)) FROM pause) AS s"
SLOW = "SELECT id, v FROM t, LATERAL (SELECT pg_sleep(0.2)) AS s"


def _endless(workshop: Workshop) -> tuple[View, Background]:
    """A refresh whose query is at work, and stays so."""
    workshop.execute("CREATE TABLE pause AS SELECT 60 AS seconds")
    view = workshop.view("m", ENDLESS)
    attempt = Background(workshop.attempt(view))
    wait_until(
        lambda: workshop.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'refresher test/worker'"
            " AND datname = current_database() AND wait_event = 'PgSleep'"
        ),
        what="the query to be at work",
    )
    return view, attempt


def test_an_unpopulated_view_is_filled(workshop: Workshop) -> None:
    view = workshop.view("m", "SELECT id, v FROM t")
    run = workshop.refresh(view)
    assert run.outcome is Outcome.SUCCEEDED
    assert run.strategy is Strategy.FULL
    assert (run.rows, run.rows_inserted, run.rows_deleted) == (10, 10, None)
    assert run.bytes == workshop.execute("SELECT pg_total_relation_size('m') AS b")[0]["b"]
    assert workshop.rows("m") == [(g, g) for g in range(1, 11)]
    assert [type(event) for event in workshop.events] == [RunStarted, RunFinished]


def test_the_strategy_is_told_from_the_beginning(workshop: Workshop) -> None:
    run = workshop.refresh(workshop.view("m", "SELECT id, v FROM t"))
    started = workshop.events[0]
    assert isinstance(started, RunStarted)
    assert (started.run.strategy, started.run.reason) == (run.strategy, run.reason)


def test_a_concurrent_refresh_counts_what_it_wrote(workshop: Workshop) -> None:
    view = workshop.view("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    workshop.execute(
        "DELETE FROM t WHERE id = 1; UPDATE t SET v = 0 WHERE id < 4;"
        " INSERT INTO t VALUES (11, 11), (12, 12), (13, 13)"
    )
    run = workshop.refresh(view)
    assert run.strategy is Strategy.CONCURRENT
    # PostgreSQL writes a changed row as a delete and an insert.
    assert (run.rows, run.rows_inserted, run.rows_updated, run.rows_deleted) == (12, 5, 0, 3)
    assert workshop.tallies(view) == {
        ("runs", "full/succeeded"): 1,
        ("runs", "concurrent/succeeded"): 1,
        ("rows", "insert"): 15,
        ("rows", "delete"): 3,
    }


def test_the_record_is_the_state_is_the_contents(workshop: Workshop) -> None:
    view = workshop.view(
        "m", "SELECT 1 AS id, pg_snapshot_xmax(pg_current_snapshot())::text AS made_by"
    )
    run = workshop.refresh(view)
    state = workshop.state(view)
    assert state.as_of == run.as_of == state.data_as_of
    assert state.success_run == run.id
    assert state.last_change_at == run.finished_at
    watermark = workshop.execute("SELECT watermark::text AS w FROM refresher.state")[0]["w"]
    assert watermark.split(":")[1] == workshop.rows("m")[0][1]
    assert workshop.history(view) == (run,)


def test_a_view_that_is_exchanged_while_a_refresh_waits_is_looked_at_again(
    workshop: Workshop,
) -> None:
    view = workshop.view("m", "SELECT id, v FROM t")
    first = workshop.refresh(view)
    with workshop.connection.transaction():
        workshop.execute("LOCK TABLE t")
        background = Background(workshop.attempt(view))
        wait_until(lambda: _waiting_for_locks(workshop) == 1, what="it to wait for the lock")
        workshop.execute(
            "ALTER MATERIALIZED VIEW m RENAME TO former;"
            " CREATE MATERIALIZED VIEW m AS SELECT id, v FROM t"
        )
    assert background.result() == NotBegun(Obstacle.FENCE)
    assert [run.id for run in workshop.history(view)] == [first.id]


def test_as_of_is_when_the_transaction_began(workshop: Workshop) -> None:
    view = workshop.view("m", "SELECT id FROM t")
    task_at = workshop.task(view).due_at
    run = workshop.refresh(view)
    assert run.as_of is not None
    assert run.finished_at is not None
    assert task_at <= run.started_at <= run.as_of <= run.finished_at
    assert run.duration_seconds == pytest.approx(
        (run.finished_at - run.started_at).total_seconds(), abs=1e-3
    )


def test_a_store_that_a_newer_daemon_upgrades_meanwhile_fails_no_refresh(
    workshop: Workshop,
) -> None:
    view = workshop.view("v", "SELECT 1 AS id")
    workshop.refresh(view)
    for table in ("run", "state", "fence"):
        workshop.execute(f"ALTER TABLE refresher.{table} ADD COLUMN later int")
    assert workshop.refresh(view).succeeded


def test_a_refresh_that_writes_nothing_advances_as_of_only(workshop: Workshop) -> None:
    view = workshop.view("m", "SELECT id, v FROM t")
    first = workshop.refresh(view)
    second = workshop.refresh(view)
    assert (second.rows_inserted, second.rows_updated, second.rows_deleted) == (0, 0, 0)
    state = workshop.state(view)
    assert state.as_of == second.as_of
    assert state.last_change_at == first.finished_at


class TestDischarge:
    def test_a_due_instant_is_discharged_once(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id FROM t")
        due_at = workshop.task(view).due_at
        workshop.refresh(view, due_at=due_at)
        assert workshop.obstacle(view, due_at=due_at) is Obstacle.DISCHARGED
        assert len(workshop.history(view)) == 1

    def test_an_instant_that_has_not_come_is_not_begun(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id FROM t")
        soon = workshop.task(view).due_at + timedelta(hours=1)
        assert workshop.obstacle(view, due_at=soon) is Obstacle.EARLY
        assert workshop.history(view) == ()

    def test_a_view_that_was_emptied_is_due_again(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id FROM t")
        due_at = workshop.task(view).due_at
        workshop.refresh(view, due_at=due_at)
        workshop.execute("REFRESH MATERIALIZED VIEW m WITH NO DATA")
        assert workshop.state(view).as_of is None
        assert workshop.refresh(view, due_at=due_at).strategy is Strategy.FULL

    def test_a_view_that_others_created_anew_is_not_ours(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id FROM t")
        workshop.refresh(view)
        workshop.execute("DROP MATERIALIZED VIEW m")
        workshop.execute("CREATE MATERIALIZED VIEW m AS SELECT 0 AS id")
        assert workshop.state(view).as_of is None

    def test_it_is_decided_under_the_fence(
        self, workshop: Workshop, other_session: Session, bystander: Connection
    ) -> None:
        """Two replicas pass the probe; the second finds the instant discharged at the fence."""
        view = workshop.view("m", "SELECT id FROM t")
        due_at = workshop.task(view).due_at
        task = workshop.task(view, due_at=due_at)
        with bystander.transaction():
            bystander.execute("LOCK TABLE t")
            both = [
                Background(Attempt(workshop.session, task, workshop.events.append)),
                Background(Attempt(other_session, task, workshop.events.append)),
            ]
            wait_until(lambda: len(workshop.history(view)) == 2, what="two open runs")
            wait_until(lambda: _waiting_for_locks(workshop) == 2, what="both to wait for the lock")
        ends = [type(attempt.result()).__name__ for attempt in both]
        assert sorted(ends) == ["Ended", "NotBegun"]
        assert [run.outcome for run in workshop.history(view)] == [Outcome.SUCCEEDED]

    def test_a_view_that_somebody_filled_meanwhile_is_not_filled_again(
        self, workshop: Workshop
    ) -> None:
        """The second looked at an empty view, and begins after the first has committed."""
        view = workshop.view("m", "SELECT id FROM t")
        task = workshop.task(view)
        first = Attempt(workshop.session, task, workshop.events.append)
        session = _Overtaken(workshop.endpoint, first)
        try:
            second = Attempt(session, task, workshop.events.append).run()
        finally:
            session.discard()
        assert second == NotBegun(Obstacle.DISCHARGED)
        assert [run.outcome for run in workshop.history(view)] == [Outcome.SUCCEEDED]

    def test_a_run_that_was_closed_meanwhile_does_nothing(
        self, workshop: Workshop, bystander: Connection
    ) -> None:
        view = workshop.view("m", "SELECT id FROM t")
        with bystander.transaction():
            bystander.execute("LOCK TABLE t")
            attempt = Background(workshop.attempt(view))
            wait_until(lambda: _waiting_for_locks(workshop) == 1, what="it to wait for the lock")
            workshop.execute("UPDATE refresher.run SET outcome = 'failed', failure = 'lost'")
        assert attempt.result() == NotBegun(Obstacle.DISCHARGED)
        assert workshop.state(view).as_of is None


class TestFenceAndSlots:
    def test_a_held_fence_is_not_waited_for(
        self, workshop: Workshop, bystander: Connection
    ) -> None:
        view = workshop.view("m", "SELECT id FROM t")
        with bystander.transaction():
            bystander.execute("SELECT FROM refresher.fence FOR NO KEY UPDATE")
            assert workshop.state(view).running
            assert workshop.obstacle(view) is Obstacle.FENCE
            assert workshop.history(view) == ()
        assert not workshop.state(view).running
        assert workshop.refresh(view).succeeded

    def test_slots_bound_what_runs_at_once(self, workshop: Workshop, bystander: Connection) -> None:
        view = workshop.view("m", "SELECT id FROM t")
        with bystander.transaction():
            bystander.execute("SELECT FROM refresher.slot WHERE number <= 2 FOR NO KEY UPDATE")
            assert workshop.obstacle(view, max_parallel=2) is Obstacle.SLOT
            assert workshop.history(view) == ()
            assert workshop.refresh(view, max_parallel=3).succeeded

    def test_a_view_without_a_fence_says_what_to_do(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id FROM t")
        workshop.execute("DELETE FROM refresher.fence")
        run = workshop.refresh(view)
        assert run.failure is FailureReason.OTHER
        assert "refresher apply" in (run.error or "")


class TestSources:
    def test_a_source_that_is_reloaded_meanwhile_is_seen_whole(
        self, workshop: Workshop, bystander: Connection
    ) -> None:
        """A bare REFRESH would take its snapshot, wait, and fill the view with nothing."""
        view = workshop.view("m", "SELECT id, v FROM t")
        with bystander.transaction():
            bystander.execute("TRUNCATE t")
            attempt = Background(workshop.attempt(view))
            wait_until(lambda: _waiting_for_locks(workshop) == 1, what="it to wait for the lock")
            bystander.execute("INSERT INTO t VALUES (1, 100), (2, 200)")
        run = attempt.run()
        assert run.rows == 2
        assert workshop.rows("m") == [(1, 100), (2, 200)]
        assert (run.lock_wait_seconds or 0) > 0

    def test_sources_are_found_through_plain_views_and_partitions(
        self, workshop: Workshop, bystander: Connection
    ) -> None:
        workshop.execute(
            "CREATE TABLE p (id int) PARTITION BY RANGE (id);"
            "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
            "CREATE VIEW inner_v AS SELECT id FROM p;"
            "CREATE VIEW outer_v AS SELECT id FROM inner_v;"
            "INSERT INTO p VALUES (1), (2)"
        )
        view = workshop.view("m", "SELECT id FROM outer_v")
        with bystander.transaction():
            bystander.execute("TRUNCATE p1")
            attempt = Background(workshop.attempt(view))
            wait_until(lambda: _waiting_for_locks(workshop) == 1, what="it to wait for the lock")
            bystander.execute("INSERT INTO p VALUES (7)")
        attempt.run()
        assert workshop.rows("m") == [(7,)]

    def test_the_lock_timeout_bounds_the_wait(
        self, workshop: Workshop, bystander: Connection
    ) -> None:
        timeouts = Timeouts(lock=timedelta(milliseconds=50))
        view = workshop.view("m", "SELECT id, v FROM t", timeouts=timeouts)
        with bystander.transaction():
            bystander.execute("LOCK TABLE t")
            run = workshop.refresh(view)
        assert run.failure is FailureReason.LOCK_TIMEOUT
        assert (run.lock_wait_seconds or 0) >= 0.05
        assert workshop.refresh(view).succeeded


def _waiting_for_locks(workshop: Workshop) -> int:
    locks = workshop.execute(
        "SELECT count(*) AS n FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return int(locks[0]["n"])


class TestFailures:
    @pytest.mark.parametrize(
        ("query", "break_it", "reason"),
        [
            ("SELECT 1 / v AS id FROM t", "UPDATE t SET v = 0", FailureReason.DEFINITION),
            ("SELECT v AS id FROM t", "UPDATE t SET v = 1", FailureReason.NOT_UNIQUE),
            ("SELECT id FROM t", "DROP MATERIALIZED VIEW m", FailureReason.DEFINITION),
            (
                "SELECT id FROM t",
                "DROP MATERIALIZED VIEW m; CREATE VIEW m AS SELECT 1 AS id",
                FailureReason.DEFINITION,
            ),
        ],
    )
    def test_a_failure_is_recorded_with_its_reason(
        self, workshop: Workshop, query: str, break_it: str, reason: FailureReason
    ) -> None:
        view = workshop.view("m", query)
        workshop.refresh(view)
        workshop.execute(break_it)
        run = workshop.refresh(view)
        assert (run.outcome, run.failure) == (Outcome.FAILED, reason)
        assert run.error
        assert run.finished_at is not None
        assert workshop.tallies(view)["failures", reason] == 1
        finished = workshop.events[-1]
        assert isinstance(finished, RunFinished)
        assert finished.run == run

    def test_old_contents_stay(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id, 1 / v AS v FROM t")
        first = workshop.refresh(view)
        before = workshop.rows("m")
        workshop.execute("UPDATE t SET v = 0 WHERE id = 3")
        workshop.refresh(view)
        assert workshop.rows("m") == before
        assert workshop.state(view).as_of == first.as_of

    def test_a_statement_that_takes_too_long(self, workshop: Workshop) -> None:
        timeouts = Timeouts(statement=timedelta(milliseconds=100))
        view = workshop.view("m", SLOW, timeouts=timeouts)
        run = workshop.refresh(view)
        assert run.failure is FailureReason.STATEMENT_TIMEOUT

    def test_without_a_unique_index_it_says_which_to_add(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id FROM t", index=None, key=("id",))
        workshop.refresh(view)
        run = workshop.refresh(view)
        assert run.failure is FailureReason.DEFINITION
        assert "CREATE UNIQUE INDEX" in (run.error or "")

    def test_a_killed_backend(self, workshop: Workshop, bystander: Connection) -> None:
        view, attempt = _endless(workshop)
        bystander.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'refresher test/worker'"
            " AND datname = current_database()"
        )
        run = attempt.run()
        assert (run.outcome, run.failure) == (Outcome.FAILED, FailureReason.CONNECTION)
        assert not workshop.state(view).running
        workshop.execute("UPDATE pause SET seconds = 0")
        assert workshop.refresh(view).succeeded

    def test_somebody_s_cancel_is_no_timeout(
        self, workshop: Workshop, bystander: Connection
    ) -> None:
        _, attempt = _endless(workshop)
        bystander.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'refresher test/worker'"
            " AND datname = current_database()"
        )
        assert attempt.run().failure is FailureReason.OTHER

    def test_no_permission(self, workshop: Workshop, database: Any, make_role: Any) -> None:
        role = make_role("stranger")
        view = workshop.view("m", "SELECT id FROM t")
        workshop.execute(
            f"GRANT USAGE ON SCHEMA refresher TO {role};"
            f"GRANT ALL ON ALL TABLES IN SCHEMA refresher TO {role}"
        )
        session = Session(_endpoint_as(database, role), worker="test/stranger")
        result = Attempt(session, workshop.task(view), workshop.events.append).run()
        session.discard()
        (run,) = workshop.history(view)
        assert run.failure is FailureReason.PERMISSION, result


def _endpoint_as(database: Any, role: str) -> Any:
    from refresher.postgres.sessions import Endpoint  # noqa: PLC0415

    return Endpoint(alias="test", conninfo=database.conninfo_as(role), session={})


class TestChecks:
    def test_too_few_rows(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id FROM t", checks=Checks(min_rows=10))
        workshop.refresh(view)
        workshop.execute("DELETE FROM t WHERE id = 1")
        run = workshop.refresh(view)
        assert run.failure is FailureReason.CHECK
        assert "min_rows" in (run.error or "")
        assert len(workshop.rows("m")) == 10

    def test_too_many_rows_gone(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id FROM t", checks=Checks(max_shrink=0.2))
        workshop.refresh(view)
        workshop.execute("DELETE FROM t WHERE id <= 2")
        assert workshop.refresh(view).succeeded
        workshop.execute("DELETE FROM t WHERE id <= 4")
        assert workshop.refresh(view).failure is FailureReason.CHECK
        assert len(workshop.rows("m")) == 8

    @pytest.mark.parametrize(
        "assertion",
        [
            "SELECT false",
            "SELECT NULL::boolean",
            "SELECT 1",
            "SELECT true, true",
            "SELECT true FROM t",
            "SELECT true WHERE false",
            "SELEC true",
            "SELECT true; DELETE FROM t",
            "DELETE FROM t RETURNING true",
            "COMMIT",
        ],
    )
    def test_an_assertion_that_does_not_hold(self, workshop: Workshop, assertion: str) -> None:
        view = workshop.view("m", "SELECT id FROM t", checks=Checks(assertion=assertion))
        run = workshop.refresh(view)
        assert run.failure is FailureReason.CHECK, run
        assert workshop.state(view).as_of is None
        assert len(workshop.rows("t")) == 10

    def test_an_assertion_sees_the_new_contents(self, workshop: Workshop) -> None:
        checks = Checks(assertion="SELECT max(v) = 11 FROM m")
        view = workshop.view("m", "SELECT id, v FROM t", checks=checks)
        assert workshop.refresh(view).failure is FailureReason.CHECK
        workshop.execute("INSERT INTO t VALUES (11, 11)")
        assert workshop.refresh(view).succeeded


class TestCancelling:
    def test_a_refresh_is_cancelled_on_the_server(self, workshop: Workshop) -> None:
        view, attempt = _endless(workshop)
        attempt.attempt.cancel()
        run = attempt.run()
        assert (run.outcome, run.failure, run.error) == (Outcome.CANCELLED, None, None)
        assert not workshop.state(view).running
        assert ("failures", "statement_timeout") not in workshop.tallies(view)

    def test_cancelled_before_it_begins(self, workshop: Workshop) -> None:
        view = workshop.view("m", "SELECT id FROM t")
        attempt = workshop.attempt(view)
        attempt.cancel()
        assert attempt.run().run.outcome is Outcome.CANCELLED  # type: ignore[union-attr]


class TestUpstreams:
    def test_data_as_of_goes_back_to_the_root(self, workshop: Workshop) -> None:
        low = workshop.view("low", "SELECT id FROM t")
        workshop.execute("CREATE VIEW between AS SELECT id FROM low")
        high = workshop.view("high", "SELECT id FROM between")
        first = workshop.refresh(low)
        workshop.refresh(high)
        second = workshop.refresh(high)
        state = workshop.state(high)
        assert state.as_of == second.as_of
        assert state.data_as_of == first.as_of
        assert state.upstreams_seen == {"low": first.as_of}

    def test_contents_of_unknown_age_make_the_result_unknown(self, workshop: Workshop) -> None:
        low = workshop.view("low", "SELECT id FROM t")
        high = workshop.view("high", "SELECT id FROM low")
        workshop.execute("REFRESH MATERIALIZED VIEW low")
        workshop.refresh(high)
        assert workshop.state(high).as_of is not None
        assert workshop.state(high).data_as_of is None
        workshop.refresh(low)
        workshop.refresh(high)
        assert workshop.state(high).data_as_of == workshop.state(low).as_of

    def test_it_is_due_only_while_an_upstream_is_newer(self, workshop: Workshop) -> None:
        low = workshop.view("low", "SELECT id FROM t")
        high = workshop.view("high", "SELECT id FROM low")
        ran = workshop.refresh(low)
        due = {"trigger": Trigger.UPSTREAM, "due_at": ran.as_of}
        assert workshop.refresh(high, **due).trigger is Trigger.UPSTREAM
        assert workshop.obstacle(high, **due) is Obstacle.DISCHARGED


class TestSettings:
    def test_the_role_s_own_defaults_do_not_matter(
        self, workshop: Workshop, database: Any, make_role: Any
    ) -> None:
        """A role may be set to read-only, another isolation and timeouts of its own."""
        role = make_role("strange", "LOGIN SUPERUSER")
        workshop.execute(
            f"ALTER ROLE {role} SET default_transaction_isolation = 'serializable';"
            f"ALTER ROLE {role} SET statement_timeout = '50ms';"
            f"ALTER ROLE {role} SET search_path = nowhere"
        )
        view = workshop.view("m", SLOW)
        session = Session(_endpoint_as(database, role), worker="test/strange")
        result = Attempt(session, workshop.task(view), workshop.events.append).run()
        session.discard()
        assert workshop.history(view)[0].succeeded, result

    def test_session_settings_are_set_for_the_refresh_only(
        self, workshop: Workshop, database: Any
    ) -> None:
        from refresher.postgres.sessions import Endpoint  # noqa: PLC0415

        endpoint = Endpoint(
            alias="test", conninfo=database.conninfo, session={"work_mem": "77MB", "my.own": "x'y"}
        )
        view = workshop.view(
            "m", "SELECT 1 AS id, current_setting('work_mem') AS w, current_setting('my.own') AS o"
        )
        session = Session(endpoint, worker="test/settings")
        Attempt(session, workshop.task(view), workshop.events.append).run()
        assert workshop.rows("m") == [(1, "77MB", "x'y")]
        shown = session.connection().execute("SHOW work_mem").fetchone()
        session.discard()
        assert shown is not None
        assert shown["work_mem"] != "77MB"


@pytest.mark.pg(">= 17")
def test_a_limit_on_whole_transactions_is_not_for_a_refresh(
    workshop: Workshop, database: Any
) -> None:
    view = workshop.view("m", SLOW)
    workshop.execute(f"ALTER DATABASE {database.name} SET transaction_timeout = '100ms'")
    workshop.session.discard()
    run = workshop.refresh(view)
    assert run.outcome is Outcome.SUCCEEDED
    assert run.duration_seconds is not None
    assert run.duration_seconds > 0.1
