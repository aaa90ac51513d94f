"""Daemons to be killed: real processes, each replaced the moment it dies."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.history import Kill

_END_SECONDS = 20.0


class Daemons:
    """Some daemons of one configuration."""

    def __init__(self, config: Path, conninfo: str, *, count: int) -> None:
        self.kills: list[Kill] = []
        self._config = config
        self._environment = {**os.environ, "DATABASE_URL": conninfo}
        self._log = config.parent / "daemons.log"
        self._count = count
        self._running: list[subprocess.Popen[bytes]] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Keep them running until the block ends; then they drain and end by themselves."""
        try:
            for _ in range(self._count):
                self._running.append(self._start())
            yield
            codes = self._end()
            assert codes == [0] * self._count, self.log()
        finally:
            for daemon in self._running:
                daemon.kill()
                daemon.wait()

    def kill_at_random(self, *, kills: int, seconds: float, chance: random.Random) -> None:
        """Kill -9 a random one at random moments, and start another in its place."""
        never = threading.Event()
        began = time.monotonic()
        for moment in sorted(chance.uniform(0, seconds) for _ in range(kills)):
            never.wait(max(0.0, began + moment - time.monotonic()))
            number = chance.randrange(self._count)
            self._kill(self._running[number])
            self._running[number] = self._start()
        never.wait(max(0.0, began + seconds - time.monotonic()))

    def log(self) -> str:
        """What they all said."""
        return self._log.read_text()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "refresher", "--config", str(self._config), "run"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _kill(self, daemon: "subprocess.Popen[bytes]") -> None:
        assert daemon.poll() is None, f"a daemon ended by itself:\n{self.log()}"
        daemon.kill()
        # The database's clock is this machine's.
        self.kills.append(Kill(daemon.pid, datetime.now(UTC)))
        daemon.wait()

    def _end(self) -> list[int]:
        for daemon in self._running:
            daemon.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _END_SECONDS
        return [daemon.wait(max(0.1, deadline - time.monotonic())) for daemon in self._running]
