"""Daemons stopped as by a hypervisor, thawed when others have long done what they were at.

A frozen one's transaction ends by a timeout of the server's, and its open run is buried. Thawed, it
knows nothing of that, and must neither do it again nor spoil what was done meanwhile.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle

from tests.faults.daemons import Daemon
from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage

_FROZEN_SECONDS = 15.0
_AT_ONCE = 5
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Frozen:
    """A daemon that stands still, and what it was at or had just done."""

    daemon: Daemon
    view: str
    at: datetime
    since: float


def inject(stage: Stage[Place], times: int) -> None:
    """Freeze five at a time, one after the other, while one goes on; 15 s later thaw each."""
    with stage.daemons.more(_AT_ONCE + 1 - len(stage.daemons.members)) as more:
        daemons = [*stage.daemons.members, *more]
        # The first one of each round is surely in the middle of its refresh.
        views = cycle(["slow", *sorted(stage.refreshed - {"slow"})])
        for begin in range(0, times, _AT_ONCE):
            frozen: list[_Frozen] = []
            try:
                for _ in range(min(_AT_ONCE, times - begin)):
                    frozen.append(_freeze(stage, next(views), daemons, frozen))
                    stage.injected()
                for each in frozen:
                    _wait_discharged(stage, each)
                    each.daemon.thaw()
            finally:
                for each in frozen:
                    each.daemon.thaw()


def _freeze(
    stage: Stage[Place], view: str, daemons: Sequence[Daemon], frozen: Sequence[_Frozen]
) -> _Frozen:
    asleep = {each.daemon for each in frozen}
    awake = {daemon.pid: daemon for daemon in daemons if daemon not in asleep}
    work = stage.wait_for_work(view, by=awake.keys(), deadline=_PATIENCE_SECONDS)
    daemon = awake[work.daemon]
    daemon.freeze()
    return _Frozen(daemon, view, datetime.now(UTC), time.monotonic())


def _wait_discharged(stage: Stage[Place], frozen: _Frozen) -> None:
    stage.rest(max(0.0, frozen.since + _FROZEN_SECONDS - time.monotonic()))
    stage.wait_refreshed({frozen.view}, since=frozen.at)


KIND = Kind(
    name="freeze",
    shows="SIGSTOP for 15 s during or after a refresh",
    ci=10,
    full=50,
    place=private,
    inject=inject,
)
