"""A primary and its streaming standby, private servers that change their parts.

    with cluster.running() as pair:
        pair.wait_replayed()
        old = pair.promote()
        old.demote(pair.primary)

Each has one address for all its life, whoever is primary.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from refresher import embedded
from refresher.embedded.account import Account
from refresher.embedded.installation import Installation
from refresher.postgres import sessions
from refresher.postgres.sessions import Connection
from tests.servers import endpoint_of, fast_directory
from tests.waiting import wait_until

_PATIENCE = 30.0
_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
_SETTINGS = {
    # The machine stays up, and the processes that are killed have written all they were to.
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "120",
    "wal_keep_size": "64MB",
    "wal_retrieve_retry_interval": "100ms",
    "hot_standby_feedback": "on",
}


class Member:
    """One server of a cluster."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, str]) -> None:
        self.data_dir = folder / name
        self._address = folder / f"at-{name}"
        self._settings = {**_SETTINGS, **settings}
        self._server: embedded.Server | None = None

    @property
    def host(self) -> str:
        """Where it listens, always, for libpq."""
        return str(self._address)

    @property
    def conninfo(self) -> str:
        """How its superuser connects."""
        return make_conninfo(host=self.host, port=5432, user="postgres", dbname="postgres")

    def connect(self) -> Connection:
        """A connection that may write if the server may."""
        return sessions.connect_to_look(endpoint_of(self.conninfo))

    def start(self, *, follows: "Member | None" = None) -> None:
        """Start it: as a standby of another one, or as a primary."""
        settings = dict(self._settings)
        if follows is not None:
            _touch(self.data_dir / "standby.signal")
            settings["primary_conninfo"] = make_conninfo(
                host=follows.host, port=5432, user="postgres", application_name=self.data_dir.name
            )
        self._server = embedded.start(self.data_dir, settings=settings)
        self._address.unlink(missing_ok=True)
        self._address.symlink_to(str(conninfo_to_dict(self._server.conninfo)["host"]))

    def stop(self) -> None:
        """Shut it down as `pg_ctl stop -m fast` does, if it runs."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def crash(self) -> None:
        """End it as `pg_ctl stop -m immediate` does."""
        assert self._server is not None
        os.kill(self._server.pid, signal.SIGQUIT)
        self.stop()

    def promote(self) -> None:
        """Make it a primary, and wait until it is."""
        with self.connect() as connection:
            row = connection.execute("SELECT pg_promote(true, 30) AS done").fetchone()
            assert row is not None
            assert row["done"], "the standby was not promoted"

    def demote(self, follows: "Member") -> None:
        """Restart it as a standby of another one, which has everything that it had."""
        self.stop()
        self.start(follows=follows)

    def set(self, name: str, value: str) -> None:
        """Change a setting of the whole server, at once."""
        with self.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")

    def copy(self, source: "Member") -> None:
        """Have what another one has, in place of what it had; neither is disturbed by it."""
        self.stop()
        shutil.rmtree(self.data_dir, ignore_errors=True)
        installation = Installation.find()
        done = subprocess.run(
            [
                *(installation.program("pg_basebackup"), "--pgdata", str(self.data_dir)),
                *("--host", source.host, "--username", "postgres", "--no-sync"),
                *("--wal-method", "stream", "--checkpoint", "fast"),
            ],
            env=installation.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        # This process reads the server's files, whoever it is; the server only its own.
        account = Account.for_server()
        for folder, _, files in os.walk(self.data_dir):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                account.take(path)


@dataclass(slots=True)
class Pair:
    """A primary and a standby, under the names they began with."""

    first: Member
    second: Member
    primary: Member
    """Whoever it is at the moment."""

    @property
    def standby(self) -> Member:
        """The other one."""
        return self.second if self.primary is self.first else self.first

    def conninfo(self) -> str:
        """How to reach whichever of both takes writes."""
        return make_conninfo(
            self.first.conninfo,
            host=f"{self.first.host},{self.second.host}",
            target_session_attrs="read-write",
        )

    def promote(self) -> Member:
        """Make the standby the primary; returns the old one, which knows nothing of it."""
        old = self.primary
        self.standby.promote()
        self.primary = self.standby
        return old

    def renew(self) -> None:
        """Make the standby a copy of the primary that follows it, whatever it was."""
        self.standby.copy(self.primary)
        self.standby.start(follows=self.primary)
        self.wait_streaming()

    def wait_replayed(self) -> None:
        """Wait until the standby has replayed what the primary has written by now."""
        with self.primary.connect() as connection:
            wait_until(lambda: _replayed(connection), _PATIENCE, what="the standby")

    def wait_streaming(self) -> None:
        """Wait until the standby follows."""
        with self.primary.connect() as connection:
            wait_until(lambda: _streams(connection), _PATIENCE, what="the standby")


@contextlib.contextmanager
def running(settings: Mapping[str, str] = _NO_SETTINGS) -> Iterator[Pair]:
    """Run a primary and a standby that follows it, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="refaults-", dir=fast_directory()) as path:
        folder = Path(path)
        folder.chmod(0o711)
        first, second = Member(folder, "first", settings), Member(folder, "second", settings)
        try:
            first.start()
            pair = Pair(first, second, first)
            pair.renew()
            yield pair
        finally:
            # The standby first: a primary that shuts down waits for who follows it.
            second.stop()
            first.stop()


class Deaf:
    """A standby that hears nothing from its primary, as a machine that hangs."""

    def __init__(self, standby: Member) -> None:
        with standby.connect() as connection:
            row = connection.execute("SELECT pid FROM pg_stat_wal_receiver").fetchone()
        assert row is not None, "the standby follows nobody"
        self._receiver: int = row["pid"]
        os.kill(self._receiver, signal.SIGSTOP)

    def hear(self) -> None:
        """Let it hear again; may be repeated."""
        os.kill(self._receiver, signal.SIGCONT)


def committing(connection: Connection) -> list[int]:
    """The server's processes whose COMMIT waits for a synchronous standby."""
    rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    return [row["pid"] for row in rows]


def _replayed(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT coalesce(bool_and(replay_lsn >= pg_current_wal_lsn()), false) AS done"
        " FROM pg_stat_replication"
    ).fetchone()
    return row is not None and row["done"]


def _streams(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT count(*) AS followers FROM pg_stat_replication WHERE state = 'streaming'"
    ).fetchone()
    return row is not None and row["followers"] > 0


def _touch(path: Path) -> None:
    path.touch(mode=0o600)
    Account.for_server().take(path)
