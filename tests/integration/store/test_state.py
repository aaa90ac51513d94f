from datetime import UTC, datetime, timedelta
from typing import Any

from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.runs import Strategy
from refresher.store import control
from refresher.store.presence import beat
from refresher.store.state import ViewState, read_clock, read_states
from tests.conftest import Database
from tests.integration.store.conftest import make_known, make_view, open_run, values
from tests.integration.store.test_presence import silence

QUERIES = load_queries("refresher.store", "store.sql")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def state_of(connection: Connection, view: str) -> ViewState:
    return read_states(connection, {view: make_view(view)})[view]


def refreshed(connection: Connection, view: str, **columns: Any) -> int:
    """Make a populated materialized view that the store has a success of; returns its run."""
    make_known(connection, view)
    connection.execute(f"CREATE MATERIALIZED VIEW {view} AS SELECT 1 AS id")
    run = open_run(connection, view, outcome="succeeded")
    connection.execute(
        "INSERT INTO refresher.state"
        " (view, relation, as_of, data_as_of, watermark, run, rows, upstreams_seen, last_change_at)"
        " VALUES (%(view)s, %(view)s::text::regclass, %(noon)s, %(noon)s, '1:1:', %(run)s, 15,"
        " %(seen)s, %(noon)s)",
        {"view": view, "noon": NOON, "run": run, "seen": "{}", **columns},
    )
    return run


def test_a_view_that_was_refreshed(connection: Connection) -> None:
    run = refreshed(connection, "v", seen='{"u": "2026-01-01T11:00:00.25+02:00", "w": null}')

    state = state_of(connection, "v")

    assert (state.relation_kind, state.populated, state.owner) == ("m", True, "postgres")
    assert (state.as_of, state.data_as_of, state.last_change_at) == (NOON, NOON, NOON)
    assert (state.success_run, state.rows) == (run, 15)
    assert state.upstreams_seen == {
        "u": datetime(2026, 1, 1, 9, 0, 0, 250_000, tzinfo=UTC),
        "w": None,
    }
    assert not state.running
    assert (state.paused_until, state.requested_at, state.requested_strategy) == (None, None, None)
    assert state.unsuccessful == ()


def test_a_view_that_is_missing(connection: Connection) -> None:
    make_known(connection, "v")

    state = state_of(connection, "v")

    assert (state.relation, state.relation_kind, state.owner, state.as_of) == (None,) * 4
    assert not state.populated


def test_contents_that_are_not_refreshers_have_no_age(connection: Connection) -> None:
    refreshed(connection, "v")
    connection.execute("DROP MATERIALIZED VIEW v; CREATE MATERIALIZED VIEW v AS SELECT 1 AS id")

    recreated = state_of(connection, "v")

    assert recreated.populated
    assert (recreated.as_of, recreated.data_as_of) == (None, None)
    assert (recreated.success_run, recreated.rows) == (None, None)


def test_contents_that_were_thrown_away_have_no_age(connection: Connection) -> None:
    refreshed(connection, "v")
    connection.execute("REFRESH MATERIALIZED VIEW v WITH NO DATA")

    state = state_of(connection, "v")

    assert not state.populated
    assert state.as_of is None


def test_a_view_is_running_while_its_fence_is_held(
    connection: Connection, database: Database
) -> None:
    make_known(connection, "v", "w")
    with database.connect() as refresh:
        with refresh.transaction():
            refresh.execute("SELECT FROM refresher.fence WHERE view = 'v' FOR NO KEY UPDATE")
            locked = state_of(connection, "v").running
            refresh.execute("UPDATE refresher.fence SET run = 1 WHERE view = 'v'")
            running = state_of(connection, "v").running
            other = state_of(connection, "w").running
        assert (locked, running, other) == (True, True, False)
        assert not state_of(connection, "v").running

        with refresh.transaction(force_rollback=True):
            refresh.execute("UPDATE refresher.fence SET run = 2 WHERE view = 'v'")
        assert not state_of(connection, "v").running


def test_runs_since_the_last_success_come_oldest_first_and_twenty_at_most(
    connection: Connection,
) -> None:
    open_run(connection, "v", outcome="failed")
    refreshed(connection, "v")
    ids = [open_run(connection, "v", outcome="failed", failure="deadlock") for _ in range(24)]
    ids.append(open_run(connection, "v"))

    unsuccessful = state_of(connection, "v").unsuccessful

    assert [run.id for run in unsuccessful] == ids[-20:]
    assert unsuccessful[-1].outcome is None


def test_states_come_in_the_order_asked_for_and_of_no_other_view(connection: Connection) -> None:
    names = ("b", "c", "a")
    make_known(connection, *names, "other")

    states = read_states(connection, {name: make_view(name) for name in names})

    assert tuple(states) == names
    assert read_states(connection, {}) == {}


def test_a_pause_holds_until_it_is_over_or_lifted(connection: Connection) -> None:
    refreshed(connection, "v")
    hour = timedelta(hours=1)

    long = control.pause(connection, "v", duration=hour, by="ada")
    assert state_of(connection, "v").paused_until == long
    short = control.pause(connection, "v", duration=hour / 2, by="bob")
    assert state_of(connection, "v").paused_until == short < long
    assert values(connection, "SELECT paused_by FROM refresher.pause") == ["bob"]
    assert control.resume(connection, "v")
    assert state_of(connection, "v").paused_until is None
    assert not control.resume(connection, "v")

    control.pause(connection, "v", duration=timedelta(), by="ada")
    assert state_of(connection, "v").paused_until is None


def test_the_newest_request_stands(connection: Connection) -> None:
    refreshed(connection, "v")
    before = read_clock(connection)

    control.request(connection, "v", strategy=Strategy.FULL, by="ada")
    newest = control.request(connection, "v", strategy=None, by="bob")

    state = state_of(connection, "v")
    assert before < newest == state.requested_at
    assert state.requested_strategy is None


def test_views_are_served_by_living_daemons(connection: Connection) -> None:
    beat(connection, worker="daemon", kind="daemon", views=["a", "b"])
    beat(connection, worker="command", kind="command", views=["c"])
    beat(connection, worker="gone", kind="daemon", views=["d"])
    silence(connection, "gone")

    assert control.served_views(connection, ["b", "c", "d", "e"]) == {"b"}


def test_what_was_asked_for_and_done_is_not_asked_for_again_on_another_server(
    connection: Connection,
) -> None:
    refreshed(connection, "done")
    refreshed(connection, "waits")
    control.request(connection, "done", strategy=None, by="ada")
    connection.execute("UPDATE refresher.state SET as_of = clock_timestamp() WHERE view = 'done'")
    asked = control.request(connection, "waits", strategy=None, by="ada")

    connection.execute(QUERIES["forget_requests"])
    connection.execute("UPDATE refresher.state SET lineage = 'another/00000001'")

    assert state_of(connection, "done").as_of is None
    assert state_of(connection, "done").requested_at is None
    assert state_of(connection, "waits").requested_at == asked


def test_states_are_read_from_a_store_that_a_newer_daemon_has_upgraded(
    connection: Connection, database: Database
) -> None:
    refreshed(connection, "v")
    open_run(connection, "v", outcome="failed", failure="other")
    before = state_of(connection, "v")
    with database.connect() as newer:
        for table in ("run", "state", "request", "pause", "fence", "view"):
            newer.execute(f"ALTER TABLE refresher.{table} ADD COLUMN later int".encode())
    assert state_of(connection, "v") == before
