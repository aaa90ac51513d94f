"""Telling systemd how we are: ready, alive, stopping (sd_notify(3)). Elsewhere it does nothing."""

import contextlib
import os
import socket


class Systemd:
    """One process's line to systemd: a datagram socket that NOTIFY_SOCKET names."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL byte that begins an abstract socket's name.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Everything runs."""
        self._notify(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """Feed the watchdog; to be called only while no loop hangs by itself."""
        self._notify("WATCHDOG=1")

    def stopping(self) -> None:
        """Nothing new is started."""
        self._notify("STOPPING=1")

    def _notify(self, message: str) -> None:
        if not self._address:
            return
        # A supervisor that is gone or busy must not end what it supervises.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line,
        ):
            line.settimeout(0)
            line.sendto(message.encode(), self._address)
