from datetime import datetime

from refresher.cli.presence import present
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.waiting import wait_until


def seen_at(connection: Connection, worker: str) -> datetime | None:
    row = connection.execute(
        "SELECT seen_at FROM refresher.worker WHERE id = %s AND kind = 'command'", [worker]
    ).fetchone()
    return None if row is None else row["seen_at"]


def later(connection: Connection, worker: str, than: datetime | None) -> bool:
    seen = seen_at(connection, worker)
    return seen is not None and than is not None and seen > than


def test_a_command_lives_until_it_ends_and_a_lost_connection_does_not_kill_it(
    database: Database,
) -> None:
    with database.connect() as connection:
        with present(database.endpoint, ["a", "b"]) as worker:
            first = seen_at(connection, worker)
            assert first is not None
            wait_until(lambda: later(connection, worker, first), what="the second beat")
            killed = connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE application_name = %s",
                [f"refresher {worker}"],
            )
            assert killed.rowcount == 1
            last = seen_at(connection, worker)
            wait_until(lambda: later(connection, worker, last), what="a beat after that")
        assert seen_at(connection, worker) is None
