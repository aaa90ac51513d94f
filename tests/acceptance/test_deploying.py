"""A rolling deployment: real daemons of two configurations, in one database at once."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from refresher.postgres.sessions import Connection
from tests.acceptance.web import metric
from tests.conftest import Database
from tests.project import Project, materialized
from tests.waiting import wait_until

TEN, TWENTY = (f"SELECT id FROM generate_series(1, {number}) AS id" for number in (10, 20))
LEFT = 'refresher_views_left{database="crm"}'
SECOND = {"every": "1s"}

OLD = {
    "changed": materialized(TEN, schedule=SECOND, max_staleness="1h"),
    "removed": materialized(TEN, schedule=SECOND),
}
NEW = {
    "changed": materialized(TWENTY, schedule={"every": "2s"}, max_staleness="2h"),
    "added": materialized(TEN, schedule=SECOND),
}


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as connection:
        yield connection


@pytest.fixture
def old(project: Project) -> Project:
    project.configure(OLD)
    return project


@pytest.fixture
def new(project: Project, tmp_path: Path) -> Project:
    folder = tmp_path / "new"
    folder.mkdir()
    there = Project(folder, dict(project.environment))
    there.configure(NEW)
    return there


def registered(connection: Connection) -> dict[str, Any]:
    rows = connection.execute("SELECT *, xmin::text AS version FROM refresher.view").fetchall()
    return {row["name"]: row for row in rows}


def hours(connection: Connection) -> dict[str, float]:
    """The limit of each view that has one of whole hours."""
    limits = {name: row["max_staleness"] for name, row in registered(connection).items()}
    return {name: limit.total_seconds() / 3600 for name, limit in limits.items() if limit}


def rows(connection: Connection, view: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {view}".encode()).fetchone()
    assert row is not None
    return int(row["count"])


@contextlib.contextmanager
def away(maintenance: Connection, database: Database, keeper: Connection) -> Iterator[None]:
    """Let nobody else connect to a database while the block goes on: through a pooler, either."""
    admit = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(database.name)
    maintenance.execute(admit.format(name, sql.Literal(False)))  # noqa: FBT003 - as SQL has it
    maintenance.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
        [database.name, keeper.info.backend_pid],
    )
    try:
        yield
    finally:
        maintenance.execute(admit.format(name, sql.Literal(True)))  # noqa: FBT003 - the same


def test_two_configurations_do_not_fight(
    old: Project,
    new: Project,
    connection: Connection,
    database: Database,
    maintenance: Connection,
) -> None:
    with old.daemon("--apply") as first:
        first.wait_for_log("run.succeeded", view="changed")
        first.wait_for_log("run.succeeded", view="removed")
        with new.daemon("--apply") as second:
            outdated = first.wait_for_log("config.outdated")
            assert outdated["views_left"] == 1
            second.wait_for_log("run.succeeded", view="changed", rows=20)
            second.wait_for_log("run.succeeded", view="added")
            assert (metric(first, LEFT), metric(second, LEFT)) == (1, 0)
            assert "2 daemons have 2 configurations" in old.run("status").stderr

            # The connection that is lost is what `--apply` is done after.
            told, seen, mark = registered(connection), first.mark(), second.mark()
            with away(maintenance, database, connection):
                first.wait_for_log("database.down", since=seen)
                second.wait_for_log("database.down", since=mark)
            refused = first.wait_for_log("apply.refused", since=seen)
            assert "newer configuration" in refused["problem"]
            second.wait_for_log("database.up", since=mark)
            for _ in range(3):
                seen, mark = first.mark(), second.mark()
                first.wait_for_log("run.succeeded", view="removed", since=seen)
                second.wait_for_log("run.succeeded", view="changed", since=mark)
                second.wait_for_log("run.succeeded", view="added", since=mark)
                assert not first.log_events("run.succeeded", view="changed", since=seen)
            assert old.call("run-now", "changed") == 0, "by hand, with the old configuration"
            assert registered(connection) == told
            assert hours(connection)["changed"] == 2
            assert rows(connection, "changed") == 20
            assert not first.log_events("drift.found")
            assert not second.log_events("drift.found")

            second.kill()
        first.wait_for_log("config.current", since=seen)
        first.wait_for_log("run.succeeded", view="changed", since=seen)
        first.wait_for_log("drift.found", view="changed", aspect="definition")
        wait_until(lambda: hours(connection)["changed"] == 1, what="the old limit")
        assert metric(first, LEFT) == 0


def test_a_view_is_forgotten_when_no_replica_has_it(
    old: Project, new: Project, connection: Connection
) -> None:
    old.apply()
    with old.daemon() as first, old.daemon() as other:
        first.wait_for_log("run.succeeded", view="removed")
        other.wait_for_log("database.up")
        new.apply()
        other.kill()
        with new.daemon() as second:
            second.wait_for_log("database.up")
            first.wait_for_log("config.outdated")
        assert first.stop() == 0
    # Nobody else has it but one that died a moment ago, and may be started again.
    with new.daemon() as second:
        second.wait_for_log("database.up")
        assert registered(connection).keys() == {"changed", "removed", "added"}
        assert second.stop() == 0
    connection.execute("UPDATE refresher.worker SET seen_at = seen_at - interval '1 hour'")
    with new.daemon() as second:
        second.wait_for_log("database.up")
        assert registered(connection).keys() == {"changed", "added"}
