"""The password is nowhere: not in what is logged, printed, served, stored or shown by `ps`."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import make_conninfo

from tests.acceptance.process import RefresherProcess
from tests.acceptance.web import get
from tests.conftest import Database
from tests.project import Project, gate_shut, gated, materialized

PASSWORD = "hunter2-∞-hunter2"  # noqa: S105 - the test's own


@pytest.fixture
def guarded(project: Project, database: Database) -> Project:
    """A configuration with a password and a token."""
    project.environment["DATABASE_URL"] = make_conninfo(database.conninfo, password=PASSWORD)
    (project.folder / "token").write_text(f"token-{PASSWORD}")
    return project


def command_lines(process: RefresherProcess) -> Iterator[str]:
    """What `ps` shows of it and of its children."""
    for member in process.family():
        yield Path(f"/proc/{member.pid}/cmdline").read_text()
        yield Path(f"/proc/{member.pid}/comm").read_text()


def test_the_password_is_nowhere(guarded: Project, database: Database) -> None:
    views = {
        "numbers": materialized("SELECT 1 AS id", schedule={"every": "1s"}),
        "slow": gated(schedule="manual"),
        "broken": materialized("SELECT 1 AS id", schedule={"every": "1s"}, checks={"min_rows": 2}),
    }
    guarded.configure(views)
    told = []
    for arguments in (
        ["validate", "--database"],
        ["plan"],
        ["plan", "--json"],
        ["apply", "--json"],
        ["run-now", "--all"],
        ["run-now", "--all", "--json"],
        ["status"],
        ["status", "--json"],
        ["history", "broken", "--json"],
        ["pause", "slow", "--for", "1h"],
    ):
        ended = guarded.run(*arguments)
        told += [ended.stdout, ended.stderr]
    with database.connect() as keeper, guarded.daemon() as daemon:
        daemon.wait_for_log("run.succeeded", view="numbers")
        daemon.wait_for_log("run.failed", view="broken")
        with gate_shut(keeper), guarded.start("run-now", "slow") as command:
            daemon.wait_for_log("run.succeeded", view="numbers", since=daemon.mark())
            told += [*command_lines(daemon), *command_lines(command)]
        told += [get(daemon, path) for path in ("/metrics", "/healthz", "/readyz", "/")]
        config = guarded.folder / "config.yaml"
        config.write_text(config.read_text().replace("kind", "kin"))
        daemon.wait_for_log("config.rejected")
        told += [str(row) for row in keeper.execute("SELECT * FROM pg_stat_activity")]
        for table in ("run", "worker", "request", "pause", "fence", "state", "tally", "view"):
            told += [str(row) for row in keeper.execute(f"SELECT * FROM refresher.{table}")]
        assert daemon.stop() == 0
        told += [daemon.stdout, daemon.stderr]
    destroyed = guarded.run("destroy", "slow", "--yes", "--json")
    told += [destroyed.stdout, destroyed.stderr]
    assert sum(map(len, told)) > 10_000
    assert [text for text in told if "hunter2" in text] == []


def test_a_token_and_a_wrong_password_are_not_told_either(guarded: Project) -> None:
    guarded.environment["DATABASE_URL"] = (
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/crm?application_name=x"
    )
    guarded.configure(
        {"numbers": materialized("SELECT 1 AS id")},
        server={"listen": "127.0.0.1:0", "token_file": "token"},
    )
    with guarded.daemon() as daemon:
        daemon.wait_for_log("database.down")
        told = [*command_lines(daemon), get(daemon, "/metrics"), get(daemon, "/healthz")]
        assert "a bearer token is needed" in told[-2]
        assert daemon.stop() == 0
        told += [daemon.stdout, daemon.stderr]
    for arguments in (
        ["status"],
        ["plan"],
        ["apply", "--json"],
        ["validate", "--database", "--json"],
    ):
        ended = guarded.run(*arguments)
        assert ended.code == 3
        told += [ended.stdout, ended.stderr]
    assert [text for text in told if "hunter2" in text] == []


def test_the_daemon_says_what_it_is_in_the_list_of_processes(project: Project) -> None:
    project.configure({"numbers": materialized("SELECT 1 AS id")})
    with project.daemon() as daemon:
        assert psutil.Process(daemon.pid).cmdline()[0] == "refresher run"
        assert daemon.stop() == 0
