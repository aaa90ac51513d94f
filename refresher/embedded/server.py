"""Launching a server under its guardian, and letting it go."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Self

from refresher.embedded import guardian
from refresher.embedded.account import Account
from refresher.embedded.data_dir import PORT, Lock, Postmaster, needs_initdb
from refresher.embedded.installation import Installation
from refresher.embedded.run_dir import RunDir, make_run_dir, remove_leftovers
from refresher.errors import RefresherError

_COMMON = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

_READY_SECONDS = 60.0
"""As long as pg_ctl waits: a server that crashed may have much to recover."""
_LOOK_SECONDS = 0.005
_STOP_SECONDS = 45.0
"""Longer than the guardian gives the server."""
_TAIL_LINES = 15
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server of our own; leaving its `with` block stops it."""

    conninfo: str
    """How its superuser `postgres` connects, for libpq."""
    data_dir: Path
    pid: int
    """Of the postmaster."""
    major: int
    """Its major version, such as 18."""
    _guardian: "subprocess.Popen[bytes]" = field(repr=False)
    _lock: Lock | None = field(repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Shut it down and wait for that; data that is not kept is removed. May be repeated."""
        _stop(self._guardian)
        if self._lock is not None:
            self._lock.close()

    def leave(self) -> None:
        """Stop it, unless other processes use it: then it stops when they are done."""
        if self._lock is None or self._lock.try_own():
            self.stop()
            return
        self._lock.close()
        _dismiss(self._guardian, b"")
        threading.Thread(target=self._guardian.wait, name="embedded-leave", daemon=True).start()


def launch(account: Account, lock: Lock | None, settings: Mapping[str, str]) -> Server:
    """Start a server and wait until it accepts connections.

    Args:
        account: who it runs as.
        lock: held alone on the directory its data are kept in, and shared when this returns; None
            makes a throw-away server.
        settings: come after our own and win.

    Raises:
        RefresherError: with what the server said, if it does not start.
    """
    installation = Installation.find()
    remove_leftovers(account)
    run_dir = make_run_dir(account)
    data_dir = run_dir.data_dir if lock is None else lock.directory
    try:
        installation = installation.readable_by(account, run_dir.path)
        major = installation.major()
        postgres = [installation.program("postgres"), "-D", str(data_dir)]
        for name, value in _settings(run_dir, throw_away=lock is None, chosen=settings).items():
            postgres += ["-c", f"{name}={value}"]
        plan = guardian.Plan(
            commands=[*_initdb(installation, data_dir, major, kept=lock is not None), postgres],
            environment=installation.environment,
            user=account.user if account.switched else None,
            group=account.group if account.switched else None,
            run_dir=str(run_dir.path),
            shared_dir=None if lock is None else str(data_dir),
            inherited=[run_dir.marker],
        )
        run_dir.log.touch(mode=0o600)
        with run_dir.log.open("r+b") as log:
            process = _spawn(plan, run_dir, log)
            postmaster = _await_ready(process, data_dir, run_dir.socket_dir, log)
    except BaseException:
        with contextlib.suppress(OSError):
            guardian.remove_run_dir(run_dir.path)
        raise
    finally:
        os.close(run_dir.marker)
    if lock is not None:
        lock.share()
    return Server(
        conninfo=postmaster.conninfo,
        data_dir=data_dir,
        pid=postmaster.pid,
        major=major,
        _guardian=process,
        _lock=lock,
    )


def _initdb(
    installation: Installation, data_dir: Path, major: int, *, kept: bool
) -> list[list[str]]:
    if not needs_initdb(data_dir, major):
        return []
    command = [
        installation.program("initdb"),
        *("-D", str(data_dir), "--username=postgres"),
        *("--encoding=UTF8", "--no-locale", "--no-instructions"),
        *("--auth-local=trust", "--auth-host=reject"),
    ]
    return [command if kept else [*command, "--no-sync"]]


def _settings(run_dir: RunDir, *, throw_away: bool, chosen: Mapping[str, str]) -> Mapping[str, str]:
    return {
        **_COMMON,
        "unix_socket_directories": str(run_dir.socket_dir),
        **(_THROW_AWAY if throw_away else {}),
        **chosen,
    }


def _spawn(plan: guardian.Plan, run_dir: RunDir, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start the guardian in a session of its own, so that Ctrl-C reaches us alone."""
    # The interpreter may need its own libraries; nothing else of our environment is passed on.
    environment = {"LC_ALL": "C", "PATH": os.defpath}
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    process = subprocess.Popen(  # noqa: S603 - this interpreter, this package's file
        [sys.executable, "-I", "-S", guardian.__file__],
        bufsize=0,
        env=environment,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        pass_fds=[run_dir.marker],
        start_new_session=True,
    )
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # its end is noticed by whoever waits for it
            process.stdin.write(json.dumps(asdict(plan)).encode() + b"\n")
    return process


def _await_ready(
    process: "subprocess.Popen[bytes]", data_dir: Path, socket_dir: Path, log: IO[bytes]
) -> Postmaster:
    try:
        postmaster = _ready_postmaster(process, data_dir, socket_dir)
    except BaseException:
        _stop(process)
        raise
    if postmaster is None:
        _stop(process)
        message = f"PostgreSQL did not start on {data_dir}; it said:\n{_tail(log)}"
        raise RefresherError(message)
    return postmaster


def _ready_postmaster(
    process: "subprocess.Popen[bytes]", data_dir: Path, socket_dir: Path
) -> Postmaster | None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        postmaster = Postmaster.read(data_dir)
        # The socket tells our server's file from one that a crashed server left.
        if postmaster and postmaster.is_ready and postmaster.socket_dir == str(socket_dir):
            return postmaster
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_SECONDS)
            break
    return None


def _tail(log: IO[bytes]) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
    lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:]) or "nothing"


def _stop(process: "subprocess.Popen[bytes]") -> None:
    _dismiss(process, guardian.STOP)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _dismiss(process: "subprocess.Popen[bytes]", word: bytes) -> None:
    """Close the guardian's pipe, after a last word."""
    if process.stdin is None or process.stdin.closed:
        return
    with contextlib.suppress(BrokenPipeError):  # it is gone already
        process.stdin.write(word)
    process.stdin.close()
