"""The fixtures every other integration test stands on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import conninfo_to_dict

from refresher.embedded.data_dir import Postmaster
from tests.conftest import Database
from tests.waiting import wait_until

SUITE = """
import os
from pathlib import Path
from tests.waiting import wait_until

def test_holds_the_server(database):
    Path(os.environ["REPORT"]).write_text(database.conninfo)
    wait_until(lambda: False, 60)
"""


def test_a_database_has_the_store_and_a_bare_one_has_not(
    database: Database, bare_database: Database
) -> None:
    question = "SELECT to_regclass('refresher.fence') IS NOT NULL AS present"
    with database.connect() as full, bare_database.connect() as bare:
        assert full.execute(question).fetchone() == {"present": True}
        assert bare.execute(question).fetchone() == {"present": False}


@pytest.mark.parametrize("value", [1, 2])
def test_what_one_test_writes_no_other_sees(database: Database, value: int) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE written (value int)")
        connection.execute("INSERT INTO written VALUES (%s)", [value])
        assert connection.execute("SELECT value FROM written").fetchall() == [{"value": value}]


def test_a_role_can_own_what_is_in_the_database(
    database: Database, make_role: Callable[..., str]
) -> None:
    owner, member = make_role("owner"), make_role("member", "NOLOGIN")
    with database.connect() as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
        connection.execute(f"GRANT {owner} TO {member}")
    with database.connect_as(owner) as connection:
        connection.execute("CREATE TABLE owned ()")
        assert connection.execute("SELECT current_user AS me").fetchone() == {"me": owner}


@pytest.mark.pg(">= 14")
def test_the_marker_keeps_what_fits(database: Database) -> None:
    with database.connect() as connection:
        assert connection.info.server_version >= 140_000


@pytest.mark.pg("< 14")
def test_the_marker_drops_what_does_not_fit() -> None:
    pytest.fail("selected on a PostgreSQL it is not for")


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "with a worker"])
def test_nothing_is_left_of_a_pytest_that_was_killed(tmp_path: Path, workers: list[str]) -> None:
    root = Path(__file__).parents[2]
    suite, report = tmp_path / "test_held.py", tmp_path / "report"
    suite.write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", f"--rootdir={root}"]
    command += [f"-c{root / 'pyproject.toml'}", *workers, str(suite)]
    environment = {**os.environ, "REPORT": str(report), "PYTHONPATH": str(root)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as run:
        conninfo = wait_until(lambda: report.read_text() if report.exists() else "", 30)
        socket_dir = Path(str(conninfo_to_dict(conninfo)["host"]))
        postmaster = Postmaster.read(socket_dir.parent / "data")
        assert postmaster is not None
        server = psutil.Process(postmaster.pid)
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not server.is_running(), what="the server's end")
    wait_until(lambda: not socket_dir.parent.exists(), what="the removal of its data")
