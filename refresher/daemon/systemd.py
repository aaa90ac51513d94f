"""Telling systemd how we are: ready, alive, stopping (sd_notify(3)). Elsewhere it does nothing."""

import os

import sdnotify


class Systemd:
    """One process's line to systemd."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()

    def ready(self, status: str) -> None:
        """Everything runs."""
        self._notifier.notify(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """Feed the watchdog; to be called only while every loop has a recent heartbeat."""
        if "WATCHDOG_USEC" in os.environ:
            self._notifier.notify("WATCHDOG=1")

    def reloading(self) -> None:
        """A new configuration is being read."""
        self._notifier.notify("RELOADING=1")

    def stopping(self) -> None:
        """Nothing new is started."""
        self._notifier.notify("STOPPING=1")
