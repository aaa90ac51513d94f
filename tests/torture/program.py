"""refresher, as the harness uses it: through its commands, and nothing else."""

import random
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import Protocol

from refresher.postgres.sessions import Connection
from tests.acceptance.process import RefresherProcess
from tests.project import Project
from tests.torture import rendering
from tests.torture.chain import Chain
from tests.torture.history import Ended
from tests.waiting import wait_until

_DEADLINE = 60.0
_WORKING = (
    "SELECT FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'refresher %'"
)
_PLAN_EXIT_CODES = (0, 10)


class Program(Protocol):
    """What applies definitions."""

    def write(self, chain: Chain) -> None:
        """Let these be the definitions."""

    def plan(self) -> tuple[int, bool]:
        """The exit code of `plan`, and whether it says that there are changes."""

    def apply(self) -> Ended:
        """Apply to the end."""

    def apply_and_kill(self, chance: random.Random) -> Ended:
        """Apply, and be killed at a random moment of the work."""

    def refresh(self) -> int:
        """Refresh every view; the exit code."""


@dataclass(slots=True)
class Refresher:
    """The real one, each command a process."""

    project: Project
    observer: Connection
    """Sees when a command is connected to the database."""
    worked: list[float] = field(default_factory=list)
    """Seconds of work of each apply that was not killed."""

    def write(self, chain: Chain) -> None:
        # So that an index that is not defined any more goes, too.
        self.project.configure(rendering.config(chain), prune=True)

    def plan(self) -> tuple[int, bool]:
        finished = self.project.run("plan", "--json", deadline=_DEADLINE)
        if finished.code not in _PLAN_EXIT_CODES:
            print(finished.stdout, finished.stderr)  # noqa: T201 - the reader of a failure needs it
            return finished.code, True
        return finished.code, any(plan["steps"] for plan in finished.json())

    def apply(self) -> Ended:
        with self.project.start("apply", "--json") as process:
            ended = self._watch(process, killed_after=None)
        self.worked.append(ended.worked)
        return ended

    def apply_and_kill(self, chance: random.Random) -> Ended:
        killed_after = chance.random() * statistics.median(self.worked)
        with self.project.start("apply", "--json") as process:
            return self._watch(process, killed_after=killed_after)

    def refresh(self) -> int:
        return self.project.run("run-now", "--all", deadline=_DEADLINE).code

    def _watch(self, process: RefresherProcess, *, killed_after: float | None) -> Ended:
        began = time.monotonic()
        wait_until(lambda: self._works() or process.process.poll() is not None)
        connected = time.monotonic()
        try:
            process.process.wait(_DEADLINE if killed_after is None else killed_after)
        except subprocess.TimeoutExpired:
            process.kill()
        ended = time.monotonic()
        return Ended(
            code=process.wait(),
            seconds=ended - began,
            worked=ended - connected,
            text=process.stdout[-4000:] + process.stderr[-4000:],
        )

    def _works(self) -> bool:
        return self.observer.execute(_WORKING).fetchone() is not None
