import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from refresher.errors import FailureReason
from refresher.postgres.sessions import Connection
from refresher.runs import Outcome
from refresher.store.presence import (
    beat,
    close_lost_runs,
    configured,
    go_on,
    leave,
    replicas,
    views_of,
    worker_name,
)
from tests.conftest import Database
from tests.integration.store.conftest import make_known, open_run, values
from tests.waiting import wait_until

DEAD = "11 seconds"
"""Ago; a process that was last heard of then is dead."""


def silence(connection: Connection, worker: str, since: str = DEAD) -> None:
    connection.execute(
        "UPDATE refresher.worker SET seen_at = clock_timestamp() - %s::interval WHERE id = %s",
        [since, worker],
    )


def close(connection: Connection, **known: Any) -> tuple[int, ...]:
    closed = close_lost_runs(connection, **{"worker": "me", "in_flight": (), **known})
    return tuple(run.id for run in closed)


def tallies(connection: Connection) -> dict[tuple[str, str, str], int]:
    rows = connection.execute("SELECT view, metric, label, value FROM refresher.tally")
    return {(row["view"], row["metric"], row["label"]): row["value"] for row in rows}


def test_a_worker_has_a_name_of_its_own() -> None:
    names = {worker_name() for _ in range(100)}

    assert len(names) == 100
    assert all(f"/{os.getpid()}/" in name for name in names)


def test_replicas_are_the_daemons_that_live(connection: Connection) -> None:
    for worker in ("a", "b", "c"):
        beat(connection, worker=worker, kind="daemon", views=["v"])
    beat(connection, worker="d", kind="command", views=["v"])
    assert replicas(connection) == 3

    silence(connection, "a")
    leave(connection, worker="b")
    assert replicas(connection) == 1

    beat(connection, worker="a", kind="daemon", views=["v"])
    assert replicas(connection) == 2


def test_a_beat_tells_the_views_of_now(connection: Connection) -> None:
    beat(connection, worker="a", kind="daemon", views=["v"])
    beat(connection, worker="a", kind="daemon", views=["v", "w"])

    assert values(connection, "SELECT views FROM refresher.worker") == [["v", "w"]]


def test_what_the_dead_left_open_is_closed_as_lost(connection: Connection) -> None:
    make_known(connection, "v")
    beat(connection, worker="dead", kind="daemon", views=["v"])
    silence(connection, "dead")
    left = open_run(connection, "v", worker="dead")

    (run,) = close_lost_runs(connection, worker="me", in_flight=())

    assert (run.id, run.outcome, run.failure) == (left, Outcome.FAILED, FailureReason.LOST)
    assert run.error == "the process that ran it is gone"
    assert run.finished_at is not None
    assert run.duration_seconds == pytest.approx(60, abs=30)
    assert tallies(connection) == {("v", "runs", "/failed"): 1, ("v", "failures", "lost"): 1}
    assert close(connection) == ()


def test_a_process_nobody_has_heard_of_is_dead(connection: Connection) -> None:
    make_known(connection, "v")
    left = open_run(connection, "v", worker="gone")

    assert close(connection) == (left,)


def test_the_living_are_left_alone(connection: Connection) -> None:
    make_known(connection, "v")
    beat(connection, worker="alive", kind="command", views=[])
    open_run(connection, "v", worker="alive")

    assert close(connection) == ()


def test_a_run_that_began_just_now_is_left_alone(connection: Connection) -> None:
    make_known(connection, "v", "w")
    open_run(connection, "v", worker="me", age="9 seconds")
    open_run(connection, "w", worker="a command before its first beat", age="0 seconds")

    assert close(connection) == ()


def test_of_its_own_runs_a_process_closes_those_it_is_not_at(connection: Connection) -> None:
    make_known(connection, "v", "w")
    beat(connection, worker="me", kind="daemon", views=["v", "w"])
    at_work = open_run(connection, "v", worker="me")
    unrecorded = open_run(connection, "w", worker="me")

    assert close(connection, in_flight=[at_work]) == (unrecorded,)


def test_runs_that_ended_stay_as_they_are(connection: Connection) -> None:
    make_known(connection, "v")
    open_run(connection, "v", worker="gone", outcome="succeeded")
    before = values(connection, "SELECT run::text FROM refresher.run")

    assert close(connection) == ()
    assert values(connection, "SELECT run::text FROM refresher.run") == before


def test_a_view_whose_fence_is_held_waits(connection: Connection, database: Database) -> None:
    make_known(connection, "held", "free")
    open_run(connection, "held", worker="gone")
    left = open_run(connection, "free", worker="gone")

    with database.connect() as refresh, refresh.transaction():
        refresh.execute("SELECT FROM refresher.fence WHERE view = 'held' FOR NO KEY UPDATE")
        assert close(connection) == (left,)

    assert len(close(connection)) == 1


def test_the_fence_is_held_while_runs_are_closed(
    connection: Connection, database: Database
) -> None:
    make_known(connection, "v")
    open_run(connection, "v", worker="gone")

    def close_slowly() -> tuple[int, ...]:
        with database.connect() as closer:
            return close(closer)

    with database.connect() as other, ThreadPoolExecutor(1) as pool:
        with other.transaction():
            # The tally is written under the fence: whoever holds it up sees the fence taken.
            other.execute("LOCK TABLE refresher.tally IN EXCLUSIVE MODE")
            closed = pool.submit(close_slowly)
            waiting = (
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            wait_until(lambda: values(connection, waiting))
            free = "SELECT view FROM refresher.fence FOR NO KEY UPDATE SKIP LOCKED"
            assert values(connection, free) == []
        assert len(closed.result()) == 1
        assert values(connection, free) == ["v"]


@pytest.mark.parametrize("level", ["read committed", "repeatable read"])
def test_two_replicas_that_close_at_once_count_it_once(
    connection: Connection, database: Database, level: str
) -> None:
    views = make_known(connection, *(f"v{number}" for number in range(8)))
    connection.execute(
        f"ALTER DATABASE {database.name} SET default_transaction_isolation = '{level}'"
    )
    left = {open_run(connection, view, worker="gone") for view in views}
    at_once = threading.Barrier(2)

    def close_all(worker: str) -> tuple[int, ...]:
        with database.connect() as closer:
            at_once.wait()
            return close(closer, worker=worker)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(close_all, ["a", "b"])

    assert len(first) + len(second) <= len(left)
    rest = close(connection)
    assert sorted((*first, *second, *rest)) == sorted(left)
    counted = tallies(connection)
    assert all(counted[view, "failures", "lost"] == 1 for view in views)


def test_a_known_worker_goes_on_without_naming_its_views(connection: Connection) -> None:
    assert go_on(connection, worker="a") is None, "nobody knows it yet"
    beat(connection, worker="a", kind="daemon", views=["v", "w"])
    silence(connection, "a")
    assert replicas(connection) == 0

    assert go_on(connection, worker="a") == ()

    assert replicas(connection) == 1
    (row,) = connection.execute("SELECT views FROM refresher.worker").fetchall()
    assert row["views"] == ["v", "w"]


def test_whoever_lives_is_told_with_its_configuration(connection: Connection) -> None:
    since = {
        worker: beat(connection, worker=worker, kind="daemon", views=["v"], configuration="c")
        for worker in ("a", "b", "dead")
    }
    assert None not in since.values()
    beat(connection, worker="older", kind="daemon", views=["v"])
    beat(connection, worker="command", kind="command", views=["v"])
    silence(connection, "a")
    silence(connection, "dead")

    living = go_on(connection, worker="a")

    assert living is not None
    told = {daemon.worker: (daemon.configuration, daemon.configured_at) for daemon in living}
    assert told == {worker: ("c", since[worker]) for worker in ("a", "b")}
    assert set(configured(connection)) == set(living)


def test_since_when_a_configuration_is_in_force_outlives_a_connection(
    connection: Connection,
) -> None:
    who: Any = {"worker": "a", "kind": "daemon", "views": ["v"]}
    since = beat(connection, **who, configuration="c")
    leave(connection, worker="a")
    assert beat(connection, **who, configuration="c", configured_at=since) == since
    later = beat(connection, **who, configuration="d")
    assert since is not None
    assert later is not None
    assert later > since


def test_the_views_of_some_processes(connection: Connection) -> None:
    beat(connection, worker="a", kind="daemon", views=["v", "w"])
    beat(connection, worker="b", kind="daemon", views=["w", "x"])
    beat(connection, worker="c", kind="daemon", views=["y"])
    assert views_of(connection, ["a", "b"]) == {"v", "w", "x"}
    assert views_of(connection, []) == set()
