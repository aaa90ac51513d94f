"""The server goes away and comes back, in three ways, in the middle of refreshes."""

import os
import signal
from collections.abc import Callable

from tests.faults.kind import Kind
from tests.faults.places import Private, private
from tests.faults.stage import Stage

_RESUME_SECONDS = 15.0
_MOST_REST_SECONDS = 1.0


def _again(fell: Callable[[Stage[Private]], None]) -> Callable[[Stage[Private], int], None]:
    """Have it go away whenever somebody is at work, and measure until all goes on."""

    def inject(stage: Stage[Private], times: int) -> None:
        for _ in range(times):
            stage.rest(stage.chance.uniform(0, _MOST_REST_SECONDS))
            fell(stage)
            stage.injected()
            stage.measured("resumed", stage.wait_refreshed(), limit=_RESUME_SECONDS)

    return inject


def _fast(stage: Stage[Private]) -> None:
    stage.wait_for_work()
    stage.place.server.stop()
    stage.place.server.start()


def _immediate(stage: Stage[Private]) -> None:
    stage.wait_for_work()
    stage.place.server.crash()
    stage.place.server.start()


def _kill_backend(stage: Stage[Private]) -> None:
    # PostgreSQL restarts all of itself, as shared memory may be spoilt.
    os.kill(stage.wait_for_work().backend, signal.SIGKILL)


def _kind(name: str, shows: str, fell: Callable[[Stage[Private]], None]) -> Kind[Private]:
    return Kind(name=name, shows=shows, ci=5, full=30, place=private, inject=_again(fell))


FAST = _kind("restart-fast", "PostgreSQL restarted, fast", _fast)
IMMEDIATE = _kind("restart-immediate", "PostgreSQL restarted, immediate", _immediate)
BACKEND = _kind("kill-backend", "kill -9 of the backend of a refresh", _kill_backend)
