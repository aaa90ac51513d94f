"""`refresher demo` as a real process, on private servers and on one that is somebody's."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from refresher.embedded.account import Account
from tests.acceptance.process import PATIENCE, RefresherProcess, clean_environment
from tests.acceptance.terminal import Terminal
from tests.servers import OwnedServer, fast_directory
from tests.waiting import wait_until

PASSWORD = "hunter2"  # noqa: S105 - a server that trusts everybody asks for none
LEFT = """
    SELECT datname FROM pg_database WHERE datname = 'refresher_demo'
    UNION ALL SELECT rolname FROM pg_roles WHERE rolname IN ('authenticator', 'service_role')
"""
HOSTILE = {
    "DATABASE_URL": "postgresql://nowhere.invalid/x",
    "MIN_CUSTOMERS": "1000000",
    "PGHOST": "/nowhere",
    "PGOPTIONS": "-c statement_timeout=1",
    "PGUSER": "nobody-at-all",
    "REFRESH_EVERY": "1w",
}


class Demo(RefresherProcess):
    """One demo, which puts its files into a directory of the test's own."""

    def __init__(
        self, folder: Path, *arguments: str, env: dict[str, str] | None = None, **streams: int
    ) -> None:
        self.folder = folder
        super().__init__(
            "demo", *arguments, cwd=folder, env={"TMPDIR": str(folder), **(env or {})}, **streams
        )

    def tells(self, words: str) -> Self:
        """Wait until the story has got to some words."""
        wait_until(
            lambda: words in self.stdout or self.process.poll() is not None, PATIENCE, what=words
        )
        assert words in self.stdout, self.stderr
        return self

    def servers(self) -> list[psutil.Process]:
        """Everything it has started."""
        return psutil.Process(self.pid).children(recursive=True)

    def is_gone(self, servers: list[psutil.Process]) -> None:
        """Nothing is left of it but what it printed."""
        _, alive = psutil.wait_procs(servers, PATIENCE)
        assert alive == []
        wait_until(lambda: not any(self.folder.glob("refresher-pg-*")), what="an empty directory")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory everybody may use, and whose path leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir=fast_directory()) as path:
        Path(path).chmod(0o777)
        yield Path(path)


@pytest.fixture(scope="module")
def foreign_server() -> Iterator[str]:
    """Somebody's server, as a URL with a password."""
    server = OwnedServer()
    parts = conninfo_to_dict(server.conninfo())
    yield f"postgresql://postgres:{PASSWORD}@/postgres?host={parts['host']}&port={parts['port']}"
    server.close()


def left_on(server: str) -> list[tuple[str]]:
    with psycopg.connect(server) as connection:
        return connection.execute(LEFT).fetchall()


def metrics_of(story: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+/metrics", story)
    assert found is not None
    with urllib.request.urlopen(found[0], timeout=10) as answer:  # noqa: S310 - the demo's own URL
        return str(answer.read().decode())


def test_the_incident_at_its_own_size(folder: Path) -> None:
    with Demo(folder, "--once") as demo:
        demo.tells("Loaded 15,549 customers and 62,196 orders")
        servers = demo.servers()
        ended = demo.finished(deadline=60)
    assert ended.code == 0, ended.stderr
    died, counted, *_ = re.findall(r"  (?:first page|count).*", ended.stdout)
    assert "died after 8." in died
    assert "(57014)" in died
    assert "15,549 rows in" in counted
    before_and_after = re.search(r"before +after *\n(.*)\n", ended.stdout)
    assert before_and_after is not None
    assert re.search(r"died after 8\..s \(57014\) +50 rows in \d+ms", before_and_after[1])
    assert re.search(r"customer_metrics +created, populated: 15,549 rows in", ended.stdout)
    assert re.search(r"orders meanwhile +[1-9]\d* placed, none failed", ended.stdout)
    assert re.search(r"customer_sources +staleness [\d.]+m?s -> [\d.]+m?s", ended.stdout)
    assert max(map(len, ended.stdout.splitlines())) <= 100
    assert ended.stderr == ""
    demo.is_gone(servers)


def test_programs_get_one_document_and_the_environment_chooses_nothing(folder: Path) -> None:
    with Demo(folder, "--once", "--json", "--scale", "0.01", env=HOSTILE) as demo:
        demo.wait_for_stderr("Kept fresh")
        servers = demo.servers()
        ended = demo.finished()
    assert ended.code == 0, ended.stderr
    report = ended.json()
    assert {part: set(report[part]) for part in ("before", "count", "after")} == {
        "before": {"role", "sqlstate", "seconds"},
        "count": {"role", "rows", "seconds"},
        "after": {"role", "rows", "seconds"},
    }
    assert set(report) == {"before", "count", "after", "runs"}
    assert (report["before"]["role"], report["before"]["sqlstate"]) == ("authenticator", None)
    assert (report["count"]["role"], report["count"]["rows"]) == ("service_role", 155)
    assert (report["after"]["role"], report["after"]["rows"]) == ("authenticator", 50)
    assert {(run["view"], run["trigger"], run["outcome"]) for run in report["runs"]} == {
        ("source_performance", "upstream", "succeeded"),
        ("customer_metrics", "upstream", "succeeded"),
        ("customer_sources", "schedule", "succeeded"),
        ("source_performance", "populate", "succeeded"),
        ("customer_metrics", "populate", "succeeded"),
        ("customer_sources", "populate", "succeeded"),
    }
    assert "the old list does not die" in ended.stderr
    demo.is_gone(servers)


def shown(terminal: Terminal, view: str) -> set[tuple[str, ...]]:
    """What was ever said of a view's state and staleness."""
    rows = [line for line in terminal.lines if line.startswith(f"  {view}  ")]
    return {tuple(row.split()[:3]) for row in rows}


@pytest.mark.parametrize("columns", [60, 120])
def test_the_live_status_moves_on_a_terminal(folder: Path, columns: int) -> None:
    with (
        Terminal(columns) as terminal,
        Demo(folder, "--scale", "0.01", stdout=terminal.theirs) as demo,
    ):
        wait_until(lambda: "orders so far" in terminal.written, PATIENCE)
        servers = demo.servers()
        assert "refresher_view_staleness_seconds{" in metrics_of("".join(terminal.lines))
        wait_until(lambda: "concurrent," in terminal.written, PATIENCE)
        wait_until(lambda: len(shown(terminal, "customer_sources")) > 3, PATIENCE)
        demo.signal(signal.SIGINT)
        assert demo.wait() == 0, demo.stderr
        demo.is_gone(servers)
        assert max(map(len, terminal.lines)) <= columns
        assert "The demo has ended" in terminal.written


def test_interrupted_while_the_server_starts(folder: Path) -> None:
    with Demo(folder, "--scale", "0.01") as demo:
        servers = wait_until(demo.servers)
        demo.signal(signal.SIGINT)
        ended = demo.finished(deadline=10)
    assert (ended.code, ended.stdout) == (130, "")
    assert "Traceback" not in ended.stderr
    demo.is_gone(servers)


def test_interrupted_while_the_list_dies(folder: Path) -> None:
    with Demo(folder, "--scale", "0.3") as demo:
        servers = demo.tells("The incident").servers()
        demo.signal(signal.SIGTERM)
        ended = demo.finished(deadline=5)
    assert ended.code == 130
    assert ended.stderr.strip() == "interrupted"
    demo.is_gone(servers)


def test_somebody_impatient_ends_the_live_phase(folder: Path) -> None:
    with Demo(folder, "--scale", "0.01") as demo:
        servers = demo.tells("Ctrl-C").servers()
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            demo.signal(number)
        ended = demo.finished(deadline=10)
    assert (ended.code, ended.stderr) == (0, "")
    assert "The demo has ended, and all that it made is removed." in ended.stdout
    demo.is_gone(servers)


def test_killed_it_takes_its_server_along(folder: Path) -> None:
    with Demo(folder, "--scale", "0.01") as demo:
        servers = demo.tells("Ctrl-C").servers()
        assert any(server.name() == "postgres" for server in servers)
        demo.kill()
        demo.is_gone(servers)


def test_a_terminal_that_is_closed_ends_it(folder: Path) -> None:
    with Terminal(80) as terminal:
        demo = Demo(folder, "--scale", "0.01", stdout=terminal.theirs)
        wait_until(lambda: "orders so far" in terminal.written, PATIENCE)
        servers = demo.servers()
    with demo:
        demo.signal(signal.SIGHUP)
        demo.wait(deadline=10)
        demo.is_gone(servers)


def test_a_reader_that_goes_away_ends_it(folder: Path) -> None:
    read, write = os.pipe()
    with Demo(folder, "--scale", "0.01", stdout=write) as demo:
        os.close(write)
        with os.fdopen(read) as story:
            assert story.readline().startswith("Started a private PostgreSQL")
            servers = demo.servers()
        ended = demo.finished()
    assert (ended.code, ended.stderr) == (0, "")
    demo.is_gone(servers)


def as_ordinary_user() -> list[str]:
    """How somebody who is not root runs Python: by an interpreter that `nobody` can get at.

    Where root has none, root runs it after all.
    """
    if os.geteuid() != 0:
        return [sys.executable]
    nobody = Account.for_server()
    installed = shutil.which(f"python3.{sys.version_info.minor}", path=os.defpath)
    reachable = [
        python
        for python in (sys.executable, installed)
        if python is not None and nobody.barrier(Path(python).resolve()) is None
    ]
    if not reachable:
        return [sys.executable]
    ids = [f"--reuid={nobody.user}", f"--regid={nobody.group}", "--clear-groups"]
    return ["setpriv", *ids, "--", reachable[0]]


def test_an_ordinary_user_can_run_it(folder: Path) -> None:
    ended = subprocess.run(
        [*as_ordinary_user(), "-m", "refresher", "demo", "--once", "--scale", "0.01"],
        cwd=folder,
        env={
            **clean_environment(),
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "TMPDIR": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "The demo has ended" in ended.stdout
    assert list(folder.iterdir()) == []


def test_a_foreign_server_keeps_nothing_and_its_password_is_never_shown(
    folder: Path, foreign_server: str
) -> None:
    with Demo(folder, "--scale", "0.01", "--database-url", foreign_server) as demo:
        demo.tells("Ctrl-C")
        assert PASSWORD not in Path(f"/proc/{demo.pid}/cmdline").read_text()
        assert demo.servers() == []
        assert len(left_on(foreign_server)) == 3
        assert PASSWORD not in metrics_of(demo.stdout)
        demo.signal(signal.SIGINT)
        ended = demo.finished(deadline=10)
    assert ended.code == 0
    assert PASSWORD not in ended.stdout + ended.stderr
    assert left_on(foreign_server) == []


def test_of_two_demos_on_one_server_one_is_refused(folder: Path, foreign_server: str) -> None:
    arguments = ("--scale", "0.01", "--database-url", foreign_server)
    with Demo(folder, *arguments) as one, Demo(folder, *arguments) as other:
        wait_until(lambda: one.process.poll() is not None or other.process.poll() is not None, 30)
        refused, running = (one, other) if one.process.poll() is not None else (other, one)
        assert refused.wait() == 2
        assert "another demo runs on this server" in refused.stderr
        running.tells("Ctrl-C").signal(signal.SIGTERM)
        assert running.wait() == 0
    assert left_on(foreign_server) == []


def test_a_killed_demo_is_cleared_away_by_the_next(folder: Path, foreign_server: str) -> None:
    arguments = ("--scale", "0.01", "--database-url", foreign_server)
    with Demo(folder, *arguments) as demo:
        demo.tells("Ctrl-C").kill()
    wait_until(lambda: not sessions_of_the_demo(foreign_server))
    with Demo(folder, *arguments) as demo:
        demo.tells("Ctrl-C").signal(signal.SIGINT)
        assert demo.wait() == 0
    assert left_on(foreign_server) == []


def sessions_of_the_demo(server: str) -> list[tuple[int]]:
    with psycopg.connect(server) as connection:
        return connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = 'refresher_demo'"
            " OR application_name = 'refresher' AND pid <> pg_backend_pid()"
        ).fetchall()


def test_a_data_directory_is_kept_and_may_be_used_again(folder: Path) -> None:
    data_dir = folder / "data"
    for _ in range(2):
        with Demo(folder, "--scale", "0.01", "--data-dir", str(data_dir)) as demo:
            servers = demo.tells("Ctrl-C").servers()
            demo.signal(signal.SIGINT)
            ended = demo.finished(deadline=10)
        assert ended.code == 0
        assert f"its data stay in {data_dir}" in ended.stdout
        demo.is_gone(servers)
    assert (data_dir / "PG_VERSION").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--scale", "0"], 2, "a scale is above 0"),
        (["--scale", "nan"], 2, "a scale is above 0"),
        (["--scale", "many"], 2, "not a valid float"),
        (["--database-url", "postgresql://me:hunter2@[x"], 2, "--database-url is not valid"),
        (["--database-url", "dbname=x", "--data-dir", "x"], 2, "use one"),
        (["--data-dir", "/proc/version"], 2, "is a file"),
        (["--database-url", "host=/nowhere password=hunter2"], 3, "can't connect"),
    ],
)
def test_what_can_not_be_done_is_said_in_a_sentence(
    tmp_path: Path, arguments: list[str], code: int, problem: str
) -> None:
    with Demo(tmp_path, "--once", *arguments) as demo:
        ended = demo.finished()
    assert (ended.code, ended.stdout) == (code, "")
    assert problem in ended.stderr
    assert "Traceback" not in ended.stderr
    assert PASSWORD not in ended.stderr
