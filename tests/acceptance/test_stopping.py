"""A daemon that is to end does, whatever its database does."""

import contextlib
import signal
from collections.abc import Iterator

import psutil

from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.project import Project, materialized


def test_a_database_that_hangs_keeps_no_daemon_from_ending(
    project: Project, database: Database
) -> None:
    project.configure({"numbers": materialized("SELECT 1 AS id", schedule="manual")})
    with database.connect() as witness, project.daemon() as daemon:
        daemon.wait_for_log("database.up")
        with _hanging(_backends_of_daemons(witness)):
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0


def _backends_of_daemons(connection: Connection) -> list[int]:
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'refresher _%'"
    ).fetchall()
    assert rows
    return [row["pid"] for row in rows]


@contextlib.contextmanager
def _hanging(pids: list[int]) -> Iterator[None]:
    """Keep some processes from doing anything, until the block ends."""
    processes = [psutil.Process(pid) for pid in pids]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()
