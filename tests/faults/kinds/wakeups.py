"""The thread that keeps wake-ups dies: views are refreshed all the same, and /healthz tells."""

import signal
import time
import urllib.error
import urllib.request
from http import HTTPStatus

from tests.faults.daemons import Daemon
from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage
from tests.waiting import wait_until

_TOLD_SECONDS = 5.0
_GOES_ON_SECONDS = 15.0


def inject(stage: Stage[Place], times: int) -> None:
    """Run one daemon alone, whose scheduler raises when it is told to."""
    with stage.daemons.resting():
        for _ in range(times):
            with stage.daemons.extra(module="tests.faults.instruments.mortal") as daemon:
                _break(stage, daemon)


def _break(stage: Stage[Place], daemon: Daemon) -> None:
    address = daemon.listen()
    stage.wait_refreshed()
    assert _healthz(address) is HTTPStatus.OK, "it was not healthy before"
    daemon.signal(signal.SIGUSR1)
    stage.injected()
    began = time.monotonic()
    wait_until(
        lambda: _healthz(address) is HTTPStatus.SERVICE_UNAVAILABLE,
        what="/healthz to tell that wake-ups are dead",
    )
    stage.measured("/healthz told", time.monotonic() - began, limit=_TOLD_SECONDS)
    stage.measured("refreshed by the rescan", stage.wait_refreshed(), limit=_GOES_ON_SECONDS)


def _healthz(address: str) -> HTTPStatus:
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=10) as response:  # noqa: S310 - http
            return HTTPStatus(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return HTTPStatus(error.code)


KIND = Kind(
    name="wakeups",
    shows="the thread that keeps wake-ups raises",
    ci=3,
    full=10,
    place=private,
    inject=inject,
)
