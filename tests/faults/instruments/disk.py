"""A small disk for a tablespace, to be filled up and emptied again. It takes root."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from refresher.embedded.account import Account
from refresher.postgres.sessions import Connection

_BALLAST = "ballast"
_CHUNK = bytes(65536)


def may_mount() -> bool:
    """Whether this process may mount a disk."""
    return os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class Disk:
    """A mounted one."""

    path: Path

    @property
    def location(self) -> Path:
        """Where a tablespace goes."""
        return self.path / "tablespace"

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no room on it, until the block ends."""
        ballast = self.path / _BALLAST
        try:
            with ballast.open("ab", buffering=0) as file:
                _fill(file.fileno())
            yield
        finally:
            ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def mounted(path: Path, *, megabytes: int) -> Iterator[Disk]:
    """Mount one of so many megabytes, until the block ends; nobody is to use it by then."""
    path.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "refaults", str(path))
    try:
        disk = Disk(path)
        disk.location.mkdir(mode=0o700)
        Account.for_server().take(disk.location)
        yield disk
    finally:
        _run("umount", str(path))


def create_tablespace(connection: Connection, name: str, disk: Disk) -> None:
    """Have the server keep things on a disk; needs a superuser."""
    connection.execute(f"CREATE TABLESPACE {name} LOCATION '{disk.location}'".encode())


def _fill(descriptor: int) -> None:
    for chunk in (_CHUNK, _CHUNK[:4096], _CHUNK[:1]):
        with contextlib.suppress(OSError):
            while True:
                if os.write(descriptor, chunk) < len(chunk):
                    break


def _run(program: str, *words: str) -> None:
    found = shutil.which(program)
    assert found, f"{program} is missing: apt-get install mount"
    done = subprocess.run([found, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{program} {' '.join(words)}: {done.stderr.strip()}"
