"""A daemon that is measured from outside: its memory, its CPU, its metrics, what it asks."""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from refresher.postgres.sessions import Connection
from tests.bench.ground import DATABASE, Ground
from tests.waiting import wait_until

_READY_SECONDS = 180.0
_END_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")
_COUNTED_SECONDS = 1.5
"""A server process tells what it did when it is idle, at most once a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """What it did after very many refreshes, until nothing was left to be done."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """What it costs while nothing is due, and nothing is left to be done."""

    cpu_share: float
    """Of one core."""
    transactions_a_second: float
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """What it costs to be asked for metrics."""

    seconds: float
    """The middle one of several."""
    slowest_seconds: float
    bytes: int
    transactions: float
    """More than those of the time it took; None is meant to be."""


class Daemon:
    """A running `refresher run`."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def memory_bytes(self) -> int:
        """What it occupies now."""
        return self._status("VmRSS")

    @property
    def peak_bytes(self) -> int:
        """The most it ever occupied."""
        return self._status("VmHWM")

    @property
    def cpu_seconds(self) -> float:
        """What it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def reload(self) -> None:
        """Have the configuration read again, and wait until it is in force."""
        said = self._log.stat().st_size
        self._process.send_signal(signal.SIGHUP)
        self.await_event("config.reloaded", since=said)

    def await_event(self, name: str, *, since: int = 0) -> dict[str, str]:
        """Wait until it has told of an event, past this place in what it says."""

        def told() -> dict[str, str] | None:
            if self._process.poll() is not None:
                message = f"the daemon ended by itself:\n{self._log.read_text()[-2000:]}"
                raise SystemExit(message)
            with self._log.open() as log:
                log.seek(since)
                return next((json.loads(line) for line in log if f'"{name}"' in line), None)

        found = wait_until(told, _READY_SECONDS, what=f"the daemon to say {name}")
        assert found is not None
        return found

    def idle(self, beside: Connection, seconds: float) -> Idle:
        """Watch it for a while in which nothing is due."""
        asked, used, began = _transactions(beside), self.cpu_seconds, time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        return Idle(
            cpu_share=(self.cpu_seconds - used) / took,
            transactions_a_second=(_transactions(beside) - asked) / took,
            memory_bytes=self.memory_bytes,
        )

    def scrape(self, beside: Connection, idle: Idle, times: int = 9) -> Scrape:
        """Ask for its metrics some times."""
        address = self.await_event("daemon.started")["listen"]
        asked, began = _transactions(beside), time.monotonic()
        took, size = [], 0
        for _ in range(times):
            before = time.perf_counter()
            with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:  # noqa: S310 - http
                size = len(answer.read())
            took.append(time.perf_counter() - before)
        time.sleep(_COUNTED_SECONDS)
        usual = idle.transactions_a_second * (time.monotonic() - began)
        return Scrape(
            seconds=statistics.median(took),
            slowest_seconds=max(took),
            bytes=size,
            transactions=max(0.0, _transactions(beside) - asked - usual) / times,
        )

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)


@contextlib.contextmanager
def running(ground: Ground) -> Iterator[Daemon]:
    """Run a daemon; it is ready when this yields, and has ended by itself when it returns."""
    log = ground.home / "daemon.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "refresher", "--config", str(ground.config), "run"),
                *("--log-format", "json"),
            ],
            env={**os.environ, "DATABASE_URL": ground.conninfo},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        daemon = Daemon(process, log)
        daemon.await_event("database.up")
        yield daemon
        process.send_signal(signal.SIGTERM)
        if process.wait(_END_SECONDS) != 0:
            message = f"the daemon failed:\n{log.read_text()[-2000:]}"
            raise SystemExit(message)
    finally:
        process.kill()
        process.wait()


def _transactions(beside: Connection) -> int:
    row = beside.execute(
        "SELECT xact_commit + xact_rollback AS count FROM pg_stat_database WHERE datname = %s",
        [DATABASE],
    ).fetchone()
    assert row is not None
    return int(row["count"])
