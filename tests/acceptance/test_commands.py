"""Commands as real processes: interrupted, on a terminal, with a reader that goes away."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from refresher.postgres.sessions import Connection
from tests.acceptance.process import PATIENCE, clean_environment
from tests.acceptance.terminal import Terminal
from tests.conftest import Database
from tests.project import Project, gate_shut, gated, materialized, open_gate, refreshing
from tests.waiting import wait_until

NUMBERS = materialized("SELECT id FROM generate_series(1, 10) AS id")


@pytest.fixture
def keeper(database: Database) -> Iterator[Connection]:
    """A connection that holds the gate shut."""
    with database.connect() as connection:
        yield connection


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal(columns=100) as opened:
        yield opened


@contextlib.contextmanager
def unresponsive(connection: Connection) -> Iterator[None]:
    """Stop the server's process that refreshes: it answers nobody until the block ends."""
    (pid,) = refreshing(connection)
    backend = psutil.Process(pid)
    backend.suspend()
    try:
        yield
    finally:
        backend.resume()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_refresh_is_cancelled_on_the_server_and_recorded(
    project: Project, keeper: Connection, number: signal.Signals
) -> None:
    project.configure({"slow": gated(), "below": materialized("SELECT id FROM slow")})
    project.apply()
    with gate_shut(keeper), project.start("run-now", "--all") as command:
        wait_until(lambda: refreshing(keeper), what="the refresh")
        command.signal(number)
        ended = command.finished()
        assert not refreshing(keeper)
    assert (ended.code, ended.stdout) == (130, "")
    assert "slow: cancelled after" in ended.stderr
    assert "below: not begun" in ended.stderr
    runs = project.run("history", "slow", "--json").json()
    assert [run["outcome"] for run in runs] == ["cancelled", "succeeded"]
    assert len(project.run("history", "below", "--json").json()) == 1
    assert keeper.execute("SELECT FROM refresher.worker").fetchone() is None


def test_an_interrupted_verification_is_cancelled_on_the_server(
    project: Project, keeper: Connection
) -> None:
    def comparing() -> bool:
        found = keeper.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND state = 'active' AND query LIKE 'CREATE TEMPORARY TABLE refresher_new%'"
        )
        return found.fetchone() is not None

    project.configure({"slow": gated()})
    project.apply()
    with gate_shut(keeper), project.start("verify", "slow", "--repair") as command:
        wait_until(comparing, what="the comparison")
        command.signal(signal.SIGINT)
        ended = command.finished()
        assert not comparing()
    assert (ended.code, ended.stdout) == (130, "")
    assert ended.stderr == "cancelling on the server; once more to leave at once\n"
    assert len(project.run("history", "slow", "--json").json()) == 1


def test_an_interrupted_populate_is_cancelled_and_goes_on_the_next_time(
    project: Project, keeper: Connection
) -> None:
    project.configure({"slow": gated(), "numbers": NUMBERS})
    with gate_shut(keeper), project.start("apply") as command:
        wait_until(lambda: refreshing(keeper), what="the populate")
        command.signal(signal.SIGINT)
        ended = command.finished()
    assert ended.code == 130
    assert "`refresher apply` goes on from here" in ended.stderr
    assert [run["outcome"] for run in project.run("history", "slow", "--json").json()] == [
        "cancelled"
    ]
    again = project.run("apply")
    assert again.code == 0
    assert "populate slow: 1 row in " in again.stdout


def test_an_interrupted_swap_leaves_what_stands_and_goes_on_the_next_time(
    project: Project, keeper: Connection
) -> None:
    project.configure({"slow": materialized("SELECT 1 AS id, 'old' AS open")})
    project.apply()
    project.configure({"slow": gated()})
    with gate_shut(keeper), project.start("apply") as command:
        wait_until(lambda: refreshing(keeper), what="the filling beside")
        command.signal(signal.SIGINT)
        ended = command.finished()
    assert ended.code == 130
    assert ended.stderr == (
        "cancelling on the server; once more to leave at once\n"
        "interrupted; `refresher apply` goes on from here\n"
    )
    assert keeper.execute("SELECT open FROM slow").fetchone() == {"open": "old"}
    runs = project.run("history", "slow", "--json").json()
    assert [run["outcome"] for run in runs] == ["cancelled", "succeeded"]
    again = project.run("apply")
    assert (again.code, again.stderr) == (0, "")
    assert again.stdout == "1/1 swap slow: 1 row\n1 step done\n"
    assert keeper.execute("SELECT open FROM slow").fetchone() == {"open": True}


def test_the_second_interruption_ends_the_command_at_once(
    project: Project, database: Database, keeper: Connection
) -> None:
    project.configure({"slow": gated()})
    project.apply()
    with gate_shut(keeper), project.start("run-now", "slow") as command:
        wait_until(lambda: refreshing(keeper), what="the refresh")
        with unresponsive(keeper):
            command.signal(signal.SIGINT)
            command.wait_for_stderr("once more to leave at once")
            command.signal(signal.SIGINT)
            assert command.wait() == 130
    with database.connect() as connection:
        wait_until(lambda: not refreshing(connection), what="the server's own end of it")


def test_a_refresh_that_is_waited_for_shows_how_long_it_usually_takes(
    project: Project, keeper: Connection, terminal: Terminal
) -> None:
    project.configure({"slow": gated()})
    project.apply()
    with (
        gate_shut(keeper),
        project.start("run-now", "slow", stderr=terminal.theirs) as command,
    ):
        wait_until(lambda: "of usually" in terminal.written, PATIENCE, what="progress")
        assert "slow: refreshing" in terminal.written
        open_gate(keeper)
        ended = command.finished()
    assert ended.code == 0
    assert ended.stdout.startswith("slow: succeeded in ")


def test_nothing_moves_off_a_terminal(project: Project, keeper: Connection) -> None:
    project.configure({"slow": gated()})
    with gate_shut(keeper), project.start("apply") as command:
        wait_until(lambda: refreshing(keeper), what="the populate")
        open_gate(keeper)
        ended = command.finished()
    assert (ended.code, ended.stderr) == (0, "")
    assert "\x1b" not in ended.stdout


def test_apply_shows_its_steps_on_a_terminal(
    project: Project, keeper: Connection, terminal: Terminal
) -> None:
    project.configure({"slow": gated()})
    with gate_shut(keeper), project.start("apply", stderr=terminal.theirs) as command:
        wait_until(lambda: "slow: filling it" in terminal.written, PATIENCE, what="the step")
        open_gate(keeper)
        assert command.finished().code == 0


@pytest.mark.parametrize(
    ("answer", "code", "shown"), [("y", 0, "1 drop numbers"), ("n", 1, "nothing was dropped")]
)
def test_destroy_asks_whoever_sits_there(
    project: Project, terminal: Terminal, answer: str, code: int, shown: str
) -> None:
    project.configure({"numbers": NUMBERS})
    project.apply()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.theirs)
    with project.start("destroy", "numbers", **streams) as command:
        wait_until(lambda: "Drop it? [y/N]" in terminal.written, PATIENCE, what="the question")
        assert "crm: public.numbers (a materialized view, " in terminal.written
        terminal.type(f"{answer}\n")
        assert command.finished().code == code
    wait_until(lambda: shown in terminal.written, PATIENCE, what="the end")
    missing = project.run("plan").stdout.startswith("1. create numbers")
    assert missing == (answer == "y")


def test_a_narrow_terminal_cuts_nothing(project: Project, terminal: Terminal) -> None:
    name = "a_view_whose_name_is_longer_than_the_terminal_is_wide"
    project.configure({name: NUMBERS})
    project.apply()
    project.environment["COLUMNS"] = "50"
    with project.start("status", stdout=terminal.theirs) as command:
        assert command.wait() == 0
    wait_until(lambda: "notes" in terminal.written, what="the last line")
    assert terminal.written.splitlines()[:2] == [f"view       {name}", "state      fresh"]


def test_a_reader_that_goes_away_ends_no_refresh(project: Project) -> None:
    project.configure({"one": NUMBERS, "two": NUMBERS, "three": NUMBERS})
    project.apply()
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with project.start("run-now", "--all", stdout=writer) as command:
            ended = command.finished()
    finally:
        os.close(writer)
    assert (ended.code, ended.stderr) == (0, "")
    for view in ("one", "two", "three"):
        (newest,) = project.run("history", view, "--limit", "1", "--json").json()
        assert newest["trigger"] == "manual"


def test_a_result_that_can_not_be_written_is_a_failure(project: Project) -> None:
    project.configure({"numbers": NUMBERS})
    project.apply()
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with project.start("status", stdout=full) as command:
            ended = command.finished()
    finally:
        os.close(full)
    assert (ended.code, ended.stderr) == (
        1,
        "refresher: can't write the result: No space left on device\n",
    )


def test_closed_streams_are_no_failure(project: Project) -> None:
    project.configure({"numbers": NUMBERS})
    project.apply()
    ended = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m refresher run-now --all >&- 2>&-"],
        cwd=project.folder,
        env={**clean_environment(), **project.environment},
        check=False,
    )
    assert ended.returncode == 0
    runs = project.run("history", "numbers", "--json").json()
    assert [run["trigger"] for run in runs] == ["manual", "populate"]


def test_a_private_server_serves_several_commands(open_dir: Path) -> None:
    project = Project(open_dir)
    project.configure({"numbers": NUMBERS}, databases={"crm": {"conninfo": "embedded"}})
    project.apply()
    (run,) = project.run("run-now", "numbers", "--json").json()
    assert run["outcome"] == "succeeded"
    with project.daemon() as daemon:
        daemon.wait_for_log("database.up")
        (row,) = project.run("status", "--json").json()
        assert row["last_run"]["started_at"] == run["started_at"]
        assert daemon.stop() == 0


def test_the_console_script_is_the_same_command() -> None:
    script = Path(sys.executable).with_name("refresher")
    told = [
        subprocess.run(
            [*command, "--version"], check=True, capture_output=True, env=clean_environment()
        ).stdout
        for command in ([script], [sys.executable, "-m", "refresher"])
    ]
    assert told[0] == told[1]
