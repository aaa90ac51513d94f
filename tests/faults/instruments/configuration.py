"""The daemons' configuration, changed under them."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.daemons import Daemon
from tests.faults.stage import Stage
from tests.waiting import wait_until

RELOADED = "config.reloaded"
REJECTED = "config.rejected"


@contextlib.contextmanager
def configured(stage: Stage[Any], change: Callable[[str], str]) -> Iterator[None]:
    """All members follow a changed configuration until the block ends, then the one before."""
    before = stage.config_path.read_text()
    put_in_force(stage, change(before))
    try:
        yield
    finally:
        put_in_force(stage, before)


def put_in_force(stage: Stage[Any], text: str) -> None:
    """Have all members follow a valid configuration, and wait until they do."""
    for member in stage.daemons.members:
        member.wait_for_log("daemon.started")  # until then SIGHUP is what it is to any process
    followed = {member: count(member, RELOADED) for member in stage.daemons.members}
    replace(stage.config_path, text.encode())
    for member in followed:
        member.signal(signal.SIGHUP)
    for member, reloads in followed.items():
        wait_until(
            partial(_more, member, RELOADED, reloads),
            30.0,
            what=f"daemon {member.pid} to follow a new configuration",
        )


def replace(path: Path, contents: bytes) -> None:
    """Exchange a file as editors do: nobody reads half of it."""
    beside = path.with_suffix(".new")
    beside.write_bytes(contents)
    beside.replace(path)


def count(daemon: Daemon, event: str) -> int:
    """How often it has logged an event."""
    return daemon.log().count(f'"event": "{event}"')


def _more(daemon: Daemon, event: str, known: int) -> bool:
    return count(daemon, event) > known
