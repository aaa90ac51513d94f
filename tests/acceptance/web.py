"""Asking a daemon over HTTP."""

import urllib.error
import urllib.request

from tests.acceptance.process import RefresherProcess


def get(daemon: RefresherProcess, path: str) -> str:
    """What it answers, whatever the status is."""
    (started,) = daemon.log_events("daemon.started")
    try:
        with urllib.request.urlopen(started["listen"] + path, timeout=10) as response:  # noqa: S310 - http
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return str(error.read().decode())


def metric(daemon: RefresherProcess, series: str) -> float | None:
    """The value of one series, written as in the text format; None while there is none."""
    for line in get(daemon, "/metrics").splitlines():
        name, _, value = line.rpartition(" ")
        if name == series:
            return float(value)
    return None
