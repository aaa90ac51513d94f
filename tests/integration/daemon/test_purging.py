"""Old runs are forgotten beside more urgent things."""

from refresher.daemon.purging import Purging
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.integration.store.conftest import make_known, open_run
from tests.waiting import wait_until


def record_old_runs(connection: Connection, *names: str) -> None:
    for name in names:
        open_run(connection, name, age="31 days", outcome="succeeded")
        open_run(connection, name, outcome="succeeded")


def old_runs(connection: Connection) -> int:
    row = connection.execute(
        "SELECT count(*) AS count FROM refresher.run WHERE started_at < now() - interval '30 days'"
    ).fetchone()
    assert row is not None
    number: int = row["count"]
    return number


def test_all_views_have_their_turn_and_then_none_for_an_hour(database: Database) -> None:
    names = [f"v{number:03}" for number in range(60)]
    with database.connect() as connection:
        make_known(connection, *names)
        record_old_runs(connection, *names)
        purging = Purging()

        def purged() -> bool:
            purging.go_on(connection)
            return old_runs(connection) == 0

        wait_until(purged, what="all old runs to be purged")
        purging.go_on(connection)
        record_old_runs(connection, "v000")
        purging.go_on(connection)
        assert old_runs(connection) == 1
