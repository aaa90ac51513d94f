"""Data directories that are kept: whether they can be used, and who is using them."""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psycopg
from psycopg.conninfo import make_conninfo

from refresher.embedded.account import Account
from refresher.errors import RefresherError

PORT = 5432
"""Names the socket only: nothing listens on a network."""

_CONNECT_SECONDS = 5
_OWN_SECONDS = 60.0
_LOOK_SECONDS = 0.02


class Lock:
    """A lock on a directory, freed by the kernel when its holder dies.

    Whoever uses a server holds it shared on the data directory; whoever starts or stops the server
    holds it alone. There can be no lock file: initdb wants the directory empty.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def share(self) -> None:
        """Hold it with others, once nobody holds it alone."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def own(self) -> None:
        """Hold it alone, once nobody else holds it.

        Raises:
            RefresherError: if others hold it for a minute.
        """
        deadline = time.monotonic() + _OWN_SECONDS
        while not self.try_own():
            if time.monotonic() > deadline:
                message = (
                    f"other processes have been using {self.directory} for"
                    f" {_OWN_SECONDS:.0f} s, and no server answers there; end them first"
                )
                raise RefresherError(message)
            time.sleep(_LOOK_SECONDS)

    def try_own(self) -> bool:
        """Hold it alone, or, if others hold it, not at all: a shared hold is lost."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            return False
        return True

    def close(self) -> None:
        """Let it go; may be repeated."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmaster:
    """What a running server says of itself in `postmaster.pid`."""

    pid: int
    port: int
    socket_dir: str
    is_ready: bool

    @classmethod
    def read(cls, data_dir: Path) -> "Postmaster | None":
        """None if the directory names no server, or the file is only half written.

        The file's lines are those of PostgreSQL's src/include/utils/pidfile.h.
        """
        try:
            lines = (data_dir / "postmaster.pid").read_text(errors="replace").splitlines()
            return cls(
                pid=int(lines[0]),
                port=int(lines[3]),
                socket_dir=lines[4],
                is_ready=lines[7].strip() == "ready",
            )
        except (FileNotFoundError, IndexError, ValueError):
            return None

    @property
    def conninfo(self) -> str:
        """How its superuser connects.

        An empty `hostaddr` keeps libpq from taking another server's from the environment.
        """
        return make_conninfo(
            host=self.socket_dir,
            hostaddr="",
            port=self.port,
            user="postgres",
            dbname="postgres",
        )


def running_server(data_dir: Path) -> Postmaster | None:
    """The server that runs on a data directory, if one answers."""
    postmaster = Postmaster.read(data_dir)
    if postmaster is None or not postmaster.is_ready or not postmaster.socket_dir:
        return None
    try:
        psycopg.connect(postmaster.conninfo, connect_timeout=_CONNECT_SECONDS).close()
    except psycopg.OperationalError:
        return None
    return postmaster


def make_data_dir(path: Path, account: Account) -> None:
    """Make a data directory if there is none; one that stands is not touched.

    Raises:
        RefresherError: if it is not the account's, or the account can't get at it.
    """
    if not str(path).isprintable():
        message = f"{str(path)!r} can't be a data directory: postmaster.pid can't hold its name"
        raise RefresherError(message)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if account.switched:
            with Lock(path.parent) as lock:  # nobody may see it before it is the account's
                lock.own()
                _make_missing(path, account)
        else:
            _make_missing(path, account)
        owned, barrier = account.owns(path), account.barrier(path)
    except OSError as error:
        message = f"can't use the data directory {path}: {error.strerror}"
        raise RefresherError(message) from error
    if not owned:
        message = (
            f"the data directory {path} is not owned by {account.name}, who the server runs as;"
            " chown it, or name one that doesn't exist yet"
        )
        raise RefresherError(message)
    if barrier is not None:
        message = (
            f"PostgreSQL can't be root and runs as {account.name}, who may not enter {barrier};"
            f" name a data directory elsewhere than {path}"
        )
        raise RefresherError(message)


def _make_missing(path: Path, account: Account) -> None:
    if not path.exists():
        path.mkdir(mode=0o700)
        account.take(path)
    elif not path.is_dir():
        message = f"{path} is not a directory; name another data directory"
        raise RefresherError(message)


def needs_initdb(path: Path, major: int) -> bool:
    """Whether the directory is empty; otherwise it holds data of this major version.

    Raises:
        RefresherError: if it holds anything else.
    """
    try:
        version = (path / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if any(path.iterdir()):
            message = f"{path} is neither empty nor a PostgreSQL data directory; name another"
            raise RefresherError(message) from None
        return True
    if version != str(major):
        message = (
            f"{path} holds data of PostgreSQL {version}, and this is PostgreSQL {major}; set"
            f" REFRESHER_PG_BIN to the bin directory of a PostgreSQL {version}, or name another"
            " data directory"
        )
        raise RefresherError(message)
    return False
