"""The directory a running server needs: short, private, and gone after it.

It holds the socket, whose path PostgreSQL limits to 107 bytes, the log, and the data of a server
that is thrown away. Its marker is a file whose lock every process of the server holds; a marker
that can be locked means that they are all dead. Process numbers would not do: they are used again.
"""

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from refresher.embedded.account import Account
from refresher.embedded.guardian import MARKER, remove_run_dir
from refresher.errors import RefresherError

_PREFIX = "refresher-pg-"
_FALLBACK = Path("/tmp")  # noqa: S108 - what is made in it is private
_LONGEST_BASE = 60
"""Bytes; leaves room for the names below and `.s.PGSQL.5432.lock` within the 107 of sun_path."""
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+", re.ASCII)
"""Characters that no list of socket directories or libpq hosts gives a meaning to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDir:
    """A server's directory, and the descriptor that locks its marker."""

    path: Path
    marker: int

    @property
    def socket_dir(self) -> Path:
        """Where the server listens."""
        return self.path / "socket"

    @property
    def data_dir(self) -> Path:
        """Where a throw-away server keeps its data."""
        return self.path / "data"

    @property
    def log(self) -> Path:
        """What the server and initdb say."""
        return self.path / "server.log"


def make_run_dir(account: Account) -> RunDir:
    """Make a run directory only the account, and root, can use; the caller closes the marker.

    Raises:
        RefresherError: if there is no place for it.
    """
    base = _base(account)
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    if account.switched:
        path.chmod(0o711)  # the account must pass through, though root owns it
    for inner in (path / "socket", path / "data"):
        inner.mkdir(mode=0o700)
        account.take(inner)
    # Locked before it has its name, so that nobody takes it for a leftover.
    unnamed = path / f"{MARKER}.new"
    marker = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    fcntl.flock(marker, fcntl.LOCK_EX)
    unnamed.rename(path / MARKER)
    return RunDir(path=path, marker=marker)


def remove_leftovers(account: Account) -> None:
    """Remove the run directories of this user's dead servers; what resists is left for later."""
    for candidate in _base(account).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _locked_marker(candidate):
            remove_run_dir(candidate)


@contextlib.contextmanager
def _locked_marker(candidate: Path) -> Iterator[None]:
    """Lock the marker of a directory that is surely ours; OSError if it isn't, or is in use."""
    marker = os.open(candidate / MARKER, os.O_RDWR | os.O_NOFOLLOW)
    try:
        for status in (candidate.lstat(), os.fstat(marker)):
            if status.st_uid != os.geteuid() or stat.S_ISLNK(status.st_mode):
                raise PermissionError(candidate)
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(marker)


def _base(account: Account) -> Path:
    for base in (Path(tempfile.gettempdir()).resolve(), _FALLBACK.resolve()):
        short = len(os.fsencode(base)) <= _LONGEST_BASE
        if short and _PLAIN.fullmatch(str(base)) and account.barrier(base) is None:
            return base
    message = (
        f"there is no directory for the server's socket that {account.name} can use; set TMPDIR to"
        " one with a short, plain path"
    )
    raise RefresherError(message)
