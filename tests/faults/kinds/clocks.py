"""Daemons whose clocks are wrong, and jump: they go by the database's, and must not misfire."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from tests.faults.kind import File, Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage

_LIBRARY = "usr/lib/*/faketime/libfaketime.so.1"
_MOST_REST_SECONDS = 1.5
_GOES_ON_SECONDS = 15.0
_DAEMONS = 2
_JUMPS = ("+1h", "-5m", "-1h", "+5m")
"""By how much a clock is ahead from then on; between the first and the third it jumps two hours."""


@dataclass(frozen=True, slots=True)
class _Clock:
    """The clock of one daemon, which libfaketime reads from a file each time it is looked at."""

    path: Path

    def set(self, ahead: str) -> None:
        """Put it forward or back; replaced as a whole, as it may be read at this moment."""
        new = self.path.with_suffix(".new")
        new.write_text(f"{ahead}\n")
        new.replace(self.path)

    def environment(self) -> dict[str, str]:
        """For the one daemon, not for its server. As on any machine, only the date changes: how
        long something takes is counted by another clock."""
        library = next(Path("/").glob(_LIBRARY))
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def inject(stage: Stage[Place], times: int) -> None:
    """Two daemons whose clocks are five minutes apart from the truth; then each jumps in turn."""
    clocks = [_Clock(stage.folder / f"clock-{number}") for number in range(_DAEMONS)]
    with stage.daemons.resting(), contextlib.ExitStack() as stack:
        for clock, ahead in zip(clocks, ("+5m", "-5m"), strict=True):
            clock.set(ahead)
            stack.enter_context(stage.daemons.extra(environment=clock.environment()))
        stage.wait_refreshed()
        jumps = cycle(_JUMPS)
        for _ in range(times):
            _jump(stage, clocks, next(jumps))


def _jump(stage: Stage[Place], clocks: Sequence[_Clock], ahead: str) -> None:
    stage.chance.choice(clocks).set(ahead)
    stage.injected()
    stage.rest(stage.chance.uniform(0, _MOST_REST_SECONDS))
    stage.measured("refreshed", stage.wait_refreshed(), limit=_GOES_ON_SECONDS)


KIND = Kind(
    name="clocks",
    shows="replicas whose clocks are 5 min off and jump by hours",
    ci=5,
    full=20,
    place=private,
    inject=inject,
    needs=(File((_LIBRARY,), package="faketime"),),
)
