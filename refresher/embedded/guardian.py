"""Keeps one PostgreSQL server, and stops it when nobody uses it any more.

`start` runs this file as a process of its own (`python -I -S guardian.py`), so it imports the
standard library only. It stands between refresher and the server because a death signal set on the
server itself is not enough: Linux sends PR_SET_PDEATHSIG when the *thread* that forked ends, and
setting it takes code between fork and exec, which is unsafe in a process with threads. The guardian
has one thread, which lives as long as the server.

It learns of its starter's end, kill -9 included, from the closing of a pipe, on every POSIX system.
Should the guardian itself be killed, Linux interrupts the server; elsewhere the server then stays.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MARKER = "lock"
"""The file of a run directory whose lock its server holds, so that leftovers can be told."""

STOP = b"s"
"""What the starter writes to have the server stopped, whoever else uses it."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_RECHECK_SECONDS = 0.2
_FAST_SHUTDOWN_SECONDS = 30.0
_IMMEDIATE_SHUTDOWN_SECONDS = 5.0
_ENDING = {signal.SIGTERM, signal.SIGINT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the guardian is to do; its starter sends it as one line of JSON."""

    commands: list[list[str]]
    """Run one after the other: initdb where it is needed, then the server."""
    environment: dict[str, str]
    """All of it: the children inherit nothing else."""
    user: int | None
    group: int | None
    """Who the children run as; None is the guardian's own user."""
    run_dir: str
    """Where the children start; removed at the end."""
    shared_dir: str | None
    """The data directory on which every user of the server holds a shared lock, if it is kept."""
    inherited: list[int]
    """Descriptors the children hold, the marker's among them."""


def remove_run_dir(run_dir: Path) -> None:
    """Remove a run directory, its marker last, so that what could not be removed is tried again."""
    with os.scandir(run_dir) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif entry.name != MARKER:
                Path(entry.path).unlink()
    (run_dir / MARKER).unlink()
    run_dir.rmdir()


class _Watch:
    """Knows when the server's time is over."""

    def __init__(self, starter: int, shared_dir: str | None) -> None:
        self._starter = starter
        self._starter_gone = False
        self._shared = None if shared_dir is None else os.open(shared_dir, os.O_RDONLY)
        self._wakeups, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup)
        for number in (*_ENDING, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)

    def is_over(self) -> bool:
        """Wait for something to happen, then tell whether the server must stop."""
        sources = [self._wakeups] if self._starter_gone else [self._wakeups, self._starter]
        patience = _RECHECK_SECONDS if self._starter_gone else None
        readable, _, _ = select.select(sources, [], [], patience)
        if self._starter in readable:
            if os.read(self._starter, 1):
                return True
            self._starter_gone = True
        if self._wakeups in readable and _ENDING.intersection(os.read(self._wakeups, 512)):
            return True
        return self._starter_gone and self._is_unused()

    def _is_unused(self) -> bool:
        """Take the lock that keeps newcomers waiting until the server has stopped."""
        if self._shared is None:
            return True
        try:
            fcntl.flock(self._shared, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _ends_with(guardian: int) -> Callable[[], None] | None:
    """What ties a child to the guardian between fork and exec; None where nothing can."""
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 - its library lookup is only needed, and only sure, on Linux

    library = ctypes.CDLL(None)

    def tie() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != guardian:  # it died before the signal was asked for
            os._exit(1)

    return tie


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Fast shutdown, then immediate, then none of its own."""
    for number, patience in (
        (signal.SIGINT, _FAST_SHUTDOWN_SECONDS),
        (signal.SIGQUIT, _IMMEDIATE_SHUTDOWN_SECONDS),
    ):
        child.send_signal(number)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        return
    child.kill()
    child.wait()


def _keep(command: list[str], plan: Plan, watch: _Watch) -> bool:
    """Run a command until it ends or must; tell whether the next one may follow."""
    try:
        child = subprocess.Popen(  # noqa: S603 - a command refresher put together
            command,
            env=plan.environment,
            cwd=plan.run_dir,
            stdin=subprocess.DEVNULL,
            user=plan.user,
            group=plan.group,
            extra_groups=None if plan.user is None else [],
            pass_fds=plan.inherited,
            preexec_fn=_ends_with(os.getpid()),  # noqa: PLW1509 - this process has one thread
        )
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"can't run {command[0]}: {error}\n")
        return False
    while child.poll() is None:
        if watch.is_over():
            _stop(child)
            return False
    return child.returncode == 0


def main() -> None:
    """Carry out the plan that comes as the first line of the standard input."""
    starter = 0
    with open(starter, "rb", buffering=0, closefd=False) as pipe:
        line = pipe.readline()
    if not line.endswith(b"\n"):
        return
    plan = Plan(**json.loads(line))
    os.umask(0o077)
    try:
        watch = _Watch(starter, plan.shared_dir)
        all(_keep(command, plan, watch) for command in plan.commands)
    finally:
        with contextlib.suppress(OSError):
            remove_run_dir(Path(plan.run_dir))


if __name__ == "__main__":
    main()
