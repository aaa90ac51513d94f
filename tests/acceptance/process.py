"""A real `refresher` process under test: started, watched through its log, signalled, ended.

    with RefresherProcess("run", cwd=folder, env={"DATABASE_URL": conninfo}) as daemon:
        daemon.wait_for_log("run.succeeded", view="customers")
        since = daemon.mark()
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_log("config.reloaded", since=since)
        assert daemon.stop() == 0

Both streams are read all the time, so that no full pipe ever stops the process. Whatever happens,
leaving the block ends it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import psutil

PATIENCE = 30.0
"""Seconds to wait for what should come at once: the machine may be busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.stdout)


class RefresherProcess:
    """One `python -m refresher …`."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str],
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> None:
        """`env` comes on top of this process's own, without what steers libpq or refresher.

        A stream may be sent somewhere else, to a terminal for one; then nothing of it is seen here.
        """
        self._changed = threading.Condition()
        self._lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._logs: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "refresher", *arguments],
            cwd=cwd,
            env={**clean_environment(), **env},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            encoding="utf-8",
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("stdout", self.process.stdout), ("stderr", self.process.stderr))
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stdout(self) -> str:
        """All it has written there so far."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """All it has written there so far, its log included."""
        return self._text("stderr")

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Its log so far: one dict an event."""
        with self._changed:
            return list(self._logs)

    def mark(self) -> int:
        """This moment in its log, for `since`."""
        with self._changed:
            return len(self._logs)

    def log_events(self, name: str, *, since: int = 0, **fields: Any) -> list[dict[str, Any]]:
        """The events of a name so far, those with these fields, since a mark."""
        return [event for event in self.logs[since:] if _matches(event, name, fields)]

    def wait_for_log(
        self, name: str, *, since: int = 0, deadline: float = PATIENCE, **fields: Any
    ) -> dict[str, Any]:
        """Wait for an event and return it; one that is there already counts, since the mark.

        Fails at once when the process ends without it.
        """
        what = f"{name} {fields}" if fields else name
        found = self._wait_for(lambda: self.log_events(name, since=since, **fields), what, deadline)
        first: dict[str, Any] = found[0]
        return first

    def wait_for_stderr(self, text: str, *, deadline: float = PATIENCE) -> None:
        """Wait until it has written something to stderr."""
        self._wait_for(lambda: text in self.stderr, repr(text), deadline)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, deadline: float = PATIENCE) -> int:
        """Wait for its end; returns the exit code once all it wrote has been read."""
        try:
            code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            message = f"it did not end within {deadline:g} s; {self._last_words()}"
            raise AssertionError(message) from None
        self._drain()
        return code

    def finished(self, deadline: float = PATIENCE) -> Finished:
        """Wait for its end; returns the exit code and all it wrote."""
        code = self.wait(deadline)
        return Finished(code=code, stdout=self.stdout, stderr=self.stderr)

    def stop(self, deadline: float = PATIENCE) -> int:
        """Ask it to stop, as systemd does, and wait for its end."""
        self.signal(signal.SIGTERM)
        return self.wait(deadline)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone; its children are left to themselves."""
        self.process.kill()
        self.process.wait()
        self._drain()

    def family(self) -> list[psutil.Process]:
        """It and all its children."""
        me = psutil.Process(self.pid)
        return [me, *me.children(recursive=True)]

    def _read(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                event = _parsed(line)
                with self._changed:
                    self._lines[name].append(line)
                    if name == "stderr" and event is not None:
                        self._logs.append(event)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _text(self, name: str) -> str:
        with self._changed:
            return "".join(self._lines[name])

    def _drain(self) -> None:
        for reader in self._readers:
            # A child that outlives it may hold the other end.
            reader.join(5.0)

    def _wait_for(self, look: Any, what: str, deadline: float) -> Any:
        end = time.monotonic() + deadline
        while True:
            ended = self.process.poll() is not None and not any(
                reader.is_alive() for reader in self._readers
            )
            found = look()
            if found:
                return found
            if ended or time.monotonic() > end:
                why = f"ended with {self.process.returncode}" if ended else f"ran {deadline:g} s"
                message = f"it {why} without {what}; {self._last_words()}"
                raise AssertionError(message)
            with self._changed:
                self._changed.wait(0.1)

    def _last_words(self) -> str:
        tail = "".join(self.stderr.splitlines(keepends=True)[-40:])
        return f"stdout:\n{self.stdout[-2000:]}\nstderr:\n{tail}"


def clean_environment() -> dict[str, str]:
    """This process's environment without what steers libpq, refresher or notifications."""
    steering = ("PG", "REFRESHER_", "NOTIFY_", "WATCHDOG_", "DATABASE_URL", "COLUMNS", "NO_COLOR")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(steering) or name == "REFRESHER_PG_BIN"
    }


def run_refresher(
    *arguments: str, cwd: Path, env: Mapping[str, str], deadline: float = PATIENCE
) -> Finished:
    """Run a command to its end."""
    with RefresherProcess(*arguments, cwd=cwd, env=env) as process:
        return process.finished(deadline)


@contextlib.contextmanager
def daemon(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str],
    options: Sequence[str] = ("--log-format", "json", "--log-level", "debug"),
) -> Iterator[RefresherProcess]:
    """Run `refresher run` until it is up, and to the end of the block."""
    with RefresherProcess("run", *options, *arguments, cwd=cwd, env=env) as process:
        process.wait_for_log("daemon.started")
        yield process


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _matches(event: Mapping[str, Any], name: str, fields: Mapping[str, Any]) -> bool:
    missing = object()
    return event["event"] == name and all(
        event.get(field, missing) == value for field, value in fields.items()
    )
