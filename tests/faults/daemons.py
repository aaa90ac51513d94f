"""Daemons that suffer: real processes, each replaced the moment it is gone."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.faults.history import Exit, Kill, Record
from tests.waiting import wait_until

DRAIN_SECONDS = 5.0
_LEAVE_SECONDS = 10.0
"""What ending may take besides draining: what is cancelled gets as long to record its end."""
_FAR_TOO_LONG_SECONDS = 60.0
_TAIL_LINES = 20
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Daemon:
    """One process."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log
        self._said: set[str] = set()

    @property
    def pid(self) -> int:
        """Its process id, which is in its workers' names."""
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def freeze(self) -> None:
        """Stop it as a hypervisor would: it notices nothing."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def log(self) -> str:
        """What it said."""
        return self._log.read_text()

    def events(self) -> Iterator[dict[str, Any]]:
        """What it logged; lines that are no event, such as a traceback's, are left out."""
        for line in self.log().splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    yield event

    def wait_for_log(self, event: str, *, deadline: float = 30.0, **fields: Any) -> dict[str, Any]:
        """Wait until it has logged an event with these fields, and return it."""
        wanted = {"event": event, **fields}

        def look() -> dict[str, Any] | None:
            for logged in self.events():
                if wanted.items() <= logged.items():
                    return logged
            return None

        return wait_until(look, deadline, what=f"{wanted} in the log of {self.pid}") or {}

    @property
    def up(self) -> bool:
        """Whether it has begun to work with the database."""
        return self._has_said("database.up")

    @property
    def started(self) -> bool:
        """Whether it heeds signals, or is gone; who gets one before just dies of it."""
        return self._has_said("daemon.started") or self.process.poll() is not None

    def _has_said(self, event: str) -> bool:
        if event not in self._said:
            self._said |= {logged["event"] for logged in self.events()}
        return event in self._said

    def listen(self) -> str:
        """Where its web server is, as a URL; waits until it is."""
        return str(self.wait_for_log("daemon.started")["listen"])

    def last_words(self) -> str:
        """The end of what it said."""
        return "\n".join(self.log().splitlines()[-_TAIL_LINES:])

    def require_running(self) -> None:
        """Fail if it ended by itself."""
        ended = self.process.poll() is not None
        assert not ended, f"daemon {self.pid} ended by itself:\n{self.last_words()}"


class Daemons:
    """Some daemons of one configuration."""

    def __init__(
        self,
        config: Path,
        conninfo: str,
        record: Record,
        *,
        count: int,
        prefixes: Sequence[Sequence[str]] = (),
    ) -> None:
        self.members: list[Daemon] = []
        self._config = config
        self._conninfo = conninfo
        self._record = record
        self._count = count
        self._prefixes = prefixes
        self._numbers = itertools.count()
        self._started: set[Daemon] = set()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Keep them running until the block ends; then they drain and end by themselves."""
        try:
            self._start_members()
            yield
            self._end(self.members)
        finally:
            for daemon in self._started:
                daemon.process.kill()
                daemon.process.wait()

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """None of them runs until the block ends."""
        members = list(self.members)
        self.members.clear()
        self._end(members)
        try:
            yield
        finally:
            self._start_members()

    @contextlib.contextmanager
    def more(self, number: int) -> Iterator[list[Daemon]]:
        """So many more, until the block ends."""
        daemons = [self.start() for _ in range(number)]
        try:
            yield daemons
        finally:
            self._end(daemons)

    @contextlib.contextmanager
    def extra(
        self,
        *,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] = _NOTHING,
        module: str = "refresher",
        options: Sequence[str] = (),
    ) -> Iterator[Daemon]:
        """One more, until the block ends.

        Args:
            prefix: what its command begins with; it has to become the daemon by `exec`.
            environment: on top of what all have.
            module: what is run by `python -m`; takes the command line of `refresher`.
            options: of `refresher run`, on top of what all have.
        """
        daemon = self.start(prefix=prefix, environment=environment, module=module, options=options)
        try:
            yield daemon
        finally:
            if daemon in self._started:
                self._end([daemon])

    def start(
        self,
        *,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] = _NOTHING,
        module: str = "refresher",
        options: Sequence[str] = (),
    ) -> Daemon:
        """Start one more, which is none of the members; whoever does ends it."""
        log = self._config.parent / f"daemon-{next(self._numbers)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [
                    *(*prefix, sys.executable, "-m", module, "--config", str(self._config)),
                    *("run", "--log-format", "json", "--drain", f"{DRAIN_SECONDS:g}s", *options),
                ],
                env={**os.environ, "DATABASE_URL": self._conninfo, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        daemon = Daemon(process, log)
        self._started.add(daemon)
        return daemon

    def wait_up(self, *, beside: Daemon | None = None) -> None:
        """Wait until a member is up, and another one than this."""

        def look() -> bool:
            others = [member for member in self.members if member is not beside]
            for member in others:
                member.require_running()
            return any(member.up for member in others)

        wait_until(look, _FAR_TOO_LONG_SECONDS, what="a daemon that is up")

    def kill(self, daemon: Daemon) -> None:
        """Kill -9 one; a member is replaced."""
        daemon.require_running()
        daemon.process.kill()
        # The database's clock is this machine's.
        self._record.kills.append(Kill(daemon.pid, datetime.now(UTC)))
        daemon.process.wait()
        self._replace(daemon)

    def end(self, daemon: Daemon, *, drain: float = DRAIN_SECONDS) -> None:
        """Ask one to end, and wait for that, which is judged; a member is replaced."""
        self._end([daemon], drain=drain)
        self._replace(daemon)

    def _start_members(self) -> None:
        for number in range(self._count):
            self.members.append(self._start_member(number))

    def _start_member(self, number: int) -> Daemon:
        prefixes = self._prefixes
        return self.start(prefix=prefixes[number % len(prefixes)] if prefixes else ())

    def _replace(self, daemon: Daemon) -> None:
        self._started.discard(daemon)
        if daemon in self.members:
            number = self.members.index(daemon)
            self.members[number] = self._start_member(number)

    def _end(self, daemons: Sequence[Daemon], *, drain: float = DRAIN_SECONDS) -> None:
        wait_until(
            lambda: all(daemon.started for daemon in daemons),
            _FAR_TOO_LONG_SECONDS,
            what="daemons to heed signals",
        )
        asked_at, began = datetime.now(UTC), time.monotonic()
        gone = {daemon for daemon in daemons if daemon.process.poll() is not None}
        for daemon in daemons:
            daemon.signal(signal.SIGTERM)  # nothing where it is gone
        took: dict[Daemon, float] = {}

        def all_ended() -> bool:
            for daemon in daemons:
                if daemon.process.poll() is not None:
                    took.setdefault(daemon, time.monotonic() - began)
            return len(took) == len(daemons)

        with contextlib.suppress(AssertionError):  # who does not end is judged
            wait_until(all_ended, _FAR_TOO_LONG_SECONDS)
        for daemon in daemons:
            self._record.exits.append(
                Exit(
                    pid=daemon.pid,
                    at=asked_at,
                    code=daemon.process.poll(),
                    seconds=took.get(daemon, _FAR_TOO_LONG_SECONDS),
                    allowed=drain + _LEAVE_SECONDS,
                    last_words=daemon.last_words() if daemon in gone else None,
                )
            )
            daemon.process.kill()
            daemon.process.wait()
            self._started.discard(daemon)
