"""Where faults are played: a server, and the way that daemons take to it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.instruments.cluster import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What every stage needs to know of it."""

    superuser: str
    """How observers, writers and the witness connect: past any pooler and proxy."""
    daemon: str
    """How daemons connect."""
    prefixes: tuple[tuple[str, ...], ...] = ()
    """What the commands of daemons begin with, by turns; empty for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Private(Place):
    """A server of the stage's own, to be stopped, crashed and started."""

    server: Member


@contextlib.contextmanager
def private(folder: Path) -> Iterator[Private]:
    """Run a server on a socket until the block ends."""
    server = Member(folder, "server", {})
    server.start()
    try:
        yield Private(superuser=server.conninfo, daemon=server.conninfo, server=server)
    finally:
        server.stop()
