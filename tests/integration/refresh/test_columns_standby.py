"""Columns wait with writing while a standby is further behind than it may be."""

from datetime import timedelta

from refresher.postgres.sessions import connect
from refresher.refresh.session import Session
from refresher.refresh.task import Ended
from refresher.store.migrate import migrate
from tests.faults.instruments import cluster
from tests.integration.refresh.conftest import Background, Workshop
from tests.servers import endpoint_of
from tests.waiting import wait_until

_MOST = timedelta(seconds=1)


def test_a_standby_that_lags_is_waited_for() -> None:
    settings = {"wal_receiver_status_interval": "1s"}
    with (
        cluster.running(settings) as pair,
        connect(endpoint := endpoint_of(pair.primary.conninfo)) as connection,
    ):
        migrate(connection)
        workshop = Workshop(endpoint, connection, Session(endpoint, worker="test/worker"))
        workshop.execute(
            "CREATE TABLE t AS SELECT g AS id, g AS v FROM generate_series(1, 10) AS g;"
            "CREATE TABLE filled (id int PRIMARY KEY, v int);"
            "INSERT INTO filled SELECT id FROM t"
        )
        view = workshop.columns("f", "SELECT id, v FROM t", table="filled", columns=("v",))
        pair.wait_replayed()
        with pair.standby.connect() as standby:
            standby.execute("SELECT pg_wal_replay_pause()")

            def lags() -> bool:
                workshop.execute("INSERT INTO filled SELECT max(id) + 1 FROM filled")
                (row,) = workshop.execute(
                    "SELECT coalesce(max(replay_lag) > interval '1 s', false) AS lags"
                    " FROM pg_stat_replication"
                )
                return bool(row["lags"])

            wait_until(lags, 30, what="the standby to lag")
            attempt = Background(workshop.attempt(view, most_lag=_MOST))
            # It is staged, and for two seconds nothing is written.
            waiting = "SELECT view FROM refresher.filling WHERE rows_done = 0 AND rows_total = 10"
            wait_until(lambda: workshop.execute(waiting), what="it to wait")
            renewed = "SELECT taken_at FROM refresher.fence WHERE view = 'f'"
            (first,) = workshop.execute(renewed)
            wait_until(
                lambda: (
                    workshop.execute(renewed)[0]["taken_at"]
                    > first["taken_at"] + 2 * timedelta(seconds=1)
                ),
                what="it to be known to live",
            )
            assert workshop.execute("SELECT id FROM filled WHERE v IS NOT NULL") == []
            assert workshop.state(view).running
            standby.execute("SELECT pg_wal_replay_resume()")
        result = attempt.result()
        assert isinstance(result, Ended)
        assert result.run.succeeded
        assert workshop.execute("SELECT id FROM filled WHERE v IS NULL AND id <= 10") == []
        workshop.session.discard()
