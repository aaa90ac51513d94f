"""What systemd is told, and what it may rely on."""

import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.process import PATIENCE
from tests.project import Project, materialized

VIEWS = {"numbers": materialized("SELECT 1 AS id")}


@pytest.fixture
def systemd(project: Project) -> Iterator[socket.socket]:
    """The socket systemd would read; the project's daemons know of it."""
    with (
        tempfile.TemporaryDirectory(prefix="refresher-test-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened,
    ):
        path = Path(folder) / "notify"
        opened.bind(str(path))
        opened.settimeout(PATIENCE)
        project.environment |= {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "60000000"}
        yield opened


def next_message(systemd: socket.socket, beginning: str) -> str:
    """The next datagram that begins so; the watchdog's food in between is let pass."""
    while True:
        message = systemd.recv(4096).decode()
        if message.startswith(beginning):
            return message
        assert message == "WATCHDOG=1"


def test_systemd_is_told_ready_alive_and_stopping(project: Project, systemd: socket.socket) -> None:
    project.configure(VIEWS)
    with project.start("run") as daemon:
        assert "STATUS=" in next_message(systemd, "READY=1")
        assert next_message(systemd, "WATCHDOG=1")
        daemon.signal(signal.SIGTERM)
        assert next_message(systemd, "STOPPING=1")
        assert daemon.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_is_0(project: Project, number: signal.Signals) -> None:
    project.configure(VIEWS)
    with project.daemon() as daemon:
        daemon.signal(number)
        assert daemon.wait() == 0
        assert daemon.log_events("daemon.stopping", signal=number.name)


def test_a_start_that_fails_is_not_0(project: Project) -> None:
    project.configure(VIEWS)
    with project.daemon() as daemon:
        (started,) = daemon.log_events("daemon.started")
        address = started["listen"].removeprefix("http://")
        project.configure(VIEWS, server={"listen": address})
        taken = project.run("run")
        assert (taken.code, taken.stdout) == (1, "")
        assert f"can't listen on {address}" in taken.stderr
        assert daemon.stop() == 0
    project.configure({"numbers": {**VIEWS["numbers"], "schedule": "sometimes"}})
    invalid = project.run("run")
    assert (invalid.code, invalid.stdout) == (2, "")
    assert "views.numbers.schedule" in invalid.stderr
