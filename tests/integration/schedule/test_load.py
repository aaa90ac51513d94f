"""What a throttle measures, on real servers."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from psycopg import sql

from refresher.config.model import Throttle
from refresher.postgres import sessions
from refresher.schedule.load import read_load
from refresher.schedule.throttle import exceeded, unseen
from tests.conftest import Database
from tests.faults.instruments import cluster
from tests.servers import endpoint_of
from tests.waiting import wait_until

HOUR = timedelta(hours=1)
LIMITS = Throttle(replication_lag=HOUR, active_connections=1, oldest_transaction=HOUR)
LAG = Throttle(replication_lag=timedelta(seconds=2))


@contextmanager
def _at_work(database: Database, number: int, *, application: str = "crm") -> Iterator[None]:
    """So many sessions that run a statement, until the block ends."""
    with ExitStack() as stack, ThreadPoolExecutor(number) as pool:
        connections = [
            stack.enter_context(sessions.connect(database.endpoint, application=application))
            for _ in range(number)
        ]
        for connection in connections:
            pool.submit(connection.execute, "SELECT pg_sleep(600)")
        try:
            with database.connect() as watcher:
                wait_until(lambda: _active(watcher, application) == number, what="them to work")
                yield
        finally:
            for connection in connections:
                connection.cancel_safe(timeout=5)


def _active(connection: sessions.Connection, application: str) -> int:
    row = connection.execute(
        "SELECT count(*) AS active FROM pg_stat_activity WHERE state = 'active'"
        " AND datname = current_database() AND application_name = %s AND query LIKE '%%pg_sleep%%'",
        [application],
    ).fetchone()
    return row["active"] if row else 0


def test_sessions_at_work_are_counted_but_for_ours(database: Database) -> None:
    with database.connect() as connection:
        before = read_load(connection)
        with _at_work(database, 3):
            assert read_load(connection).active_connections >= 3
        with _at_work(database, 40, application="refresher host/1/abc"):
            # Other tests are at work on the server, too, but there are few of them.
            assert read_load(connection).active_connections < before.active_connections + 40


def test_the_oldest_transaction_is_that_of_others_in_this_database(database: Database) -> None:
    with database.connect() as connection:
        assert read_load(connection).oldest_transaction == timedelta()
        with (
            sessions.connect(database.endpoint, application="refresher w") as own,
            own.transaction(),
        ):
            own.execute("SELECT 1")
            assert read_load(connection).oldest_transaction == timedelta()
        with sessions.connect(database.endpoint, application="crm") as other, other.transaction():
            other.execute("SELECT 1")
            first = read_load(connection).oldest_transaction
            assert timedelta() < first < read_load(connection).oldest_transaction


def test_what_a_role_may_not_see_is_known_not_to_be_seen(
    database: Database, make_role: Callable[..., str]
) -> None:
    role = make_role("guest")
    with (
        database.connect_as(role) as guest,
        sessions.connect(database.endpoint, application="crm") as other,
        other.transaction(),
    ):
        other.execute("SELECT 1")
        load = read_load(guest)
        assert not load.sees_sessions
        assert load.oldest_transaction == timedelta()
        assert unseen(LIMITS, load) == ("active_connections", "oldest_transaction")
        grant = sql.SQL("GRANT pg_read_all_stats TO {}").format(sql.Identifier(role))
        with database.connect() as superuser:
            superuser.execute(grant)
        seeing = read_load(guest)
        assert seeing.sees_sessions
        assert seeing.oldest_transaction > timedelta()


def test_the_lag_of_a_standby_that_does_not_replay() -> None:
    settings = {"wal_receiver_status_interval": "1s"}
    with cluster.running(settings) as pair, pair.primary.connect() as primary:
        pair.wait_replayed()
        primary.execute("CREATE ROLE guest LOGIN")
        assert exceeded(LAG, read_load(primary)) is None
        with pair.standby.connect() as standby:
            standby.execute("SELECT pg_wal_replay_pause()")
            wait_until(lambda: _paused(standby), what="the standby to pause")
            primary.execute("CREATE TABLE t AS SELECT 1 AS id")

            def reason() -> str:
                primary.execute("INSERT INTO t VALUES (1)")
                return exceeded(LAG, read_load(primary)) or ""

            told = wait_until(reason, 30, what="the lag")
            assert told.startswith("replication lag ")
            guest = endpoint_of(pair.primary.conninfo.replace("user=postgres", "user=guest"))
            with sessions.connect(guest) as blind:
                load = read_load(blind)
                assert (load.sees_replication, load.replication_lag) == (False, timedelta())
            standby.execute("SELECT pg_wal_replay_resume()")
        pair.wait_replayed()
        wait_until(lambda: not reason(), 30, what="the lag to be over")
        pair.standby.stop()
        assert read_load(primary).replication_lag == timedelta()


def _paused(standby: sessions.Connection) -> bool:
    row = standby.execute("SELECT pg_get_wal_replay_pause_state() AS state").fetchone()
    return row is not None and row["state"] == "paused"
