"""From pg_cron to refresher, as docs/adoption.md says; pg_cron's table will do for its jobs."""

from contextlib import ExitStack

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.project import Project
from tests.waiting import wait_until

CRON = """
CREATE SCHEMA cron;
CREATE TABLE cron.job (
    jobid bigint PRIMARY KEY, schedule text, command text, database text, username text,
    active boolean, jobname text
);
GRANT USAGE ON SCHEMA cron TO PUBLIC;
GRANT SELECT ON cron.job TO PUBLIC;
INSERT INTO cron.job VALUES (
    7, '1 seconds',
    'REFRESH MATERIALIZED VIEW CONCURRENTLY doubled; REFRESH MATERIALIZED VIEW doubled_total',
    current_database(), current_user, true, 'every second'
);
CREATE TABLE numbers AS SELECT generate_series(1, 10) AS id;
"""
VIEWS = """
CREATE MATERIALIZED VIEW doubled AS SELECT id, 2 * id AS twice FROM numbers;
CREATE UNIQUE INDEX ON doubled (id);
CREATE MATERIALIZED VIEW doubled_total AS SELECT sum(twice) AS total FROM doubled;
CREATE UNIQUE INDEX ON doubled_total (total);
"""


@pytest.fixture
def adopter(project: Project, database: Database) -> Project:
    """Somebody whose views are refreshed by pg_cron."""
    with database.connect() as connection:
        connection.execute(CRON)
    with psycopg.connect(project.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(VIEWS)
    return project


def test_from_pg_cron_to_refresher(adopter: Project, database: Database) -> None:
    imported = adopter.run("import")
    assert imported.code == 0
    assert "job 7 'every second' of pg_cron (1 seconds) refreshes it too" in imported.stderr
    config = adopter.folder / "config.yaml"
    config.write_text(config.read_text().replace(":9187", ":0"))
    for command in ("plan", "apply", "plan"):
        done = adopter.run(command)
        assert (done.code, done.stdout) == (0, "no changes\n"), done.stderr
    with database.connect() as connection:
        connection.execute("INSERT INTO numbers VALUES (100)")
        with adopter.daemon() as daemon:
            since = daemon.mark()
            for view in ("doubled", "doubled_total"):
                daemon.wait_for_log("run.succeeded", view=view, trigger="schedule")
            daemon.wait_for_log("run.succeeded", view="doubled_total", since=since)
            wait_until(
                lambda: (
                    connection.execute("SELECT total FROM doubled_total").fetchone()
                    == {"total": 310}
                ),
                what="the new row",
            )
    assert adopter.run("plan").code == 0


def waiting(connection: Connection) -> bool:
    """Whether somebody waits for a lock in this database."""
    row = connection.execute(
        "SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    return row is not None


def test_a_password_is_not_seen_among_the_processes(adopter: Project, database: Database) -> None:
    url = make_conninfo(database.conninfo, password="hunter2")  # noqa: S106 - the word it looks for
    del adopter.environment["DATABASE_URL"]
    with database.connect() as keeper, database.connect() as looker, ExitStack() as commands:
        with keeper.transaction():
            keeper.execute("LOCK TABLE cron.job IN ACCESS EXCLUSIVE MODE")
            command = commands.enter_context(adopter.start("import", "--database-url", url))
            wait_until(lambda: waiting(looker), what="the import")
            assert "hunter2" not in " ".join(psutil.Process(command.pid).cmdline())
        ended = command.finished()
    assert ended.code == 0
    assert "hunter2" not in ended.stdout + ended.stderr
    assert "hunter2" not in (adopter.folder / "config.yaml").read_text()
