"""`refresher run`: signals in, everything started and ended in order.

    SIGTERM, SIGINT   start nothing more, drain, then cancel on the server, and end
    the same again    cancel at once
    SIGHUP            read the configuration again; a changed file does the same

An invalid configuration at a reload is said and counted, and the old one stays in force. A database
that is away concerns its own loop only. The daemon ends by a signal, never by an error.
"""

import queue
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from refresher.config.model import Config
from refresher.daemon.daemon import Daemon
from refresher.daemon.files import WatchedFiles
from refresher.daemon.systemd import Systemd
from refresher.errors import RefresherError

_TICK_SECONDS = 1.0
_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """One daemon under signals, in the main thread."""

    def __init__(
        self, daemon: Daemon, config: Config, load: Callable[[], Config], *, drain: timedelta
    ) -> None:
        self._daemon = daemon
        self._load = load
        self._drain = drain
        self._files = WatchedFiles(config.files)
        self._systemd = Systemd()
        self._signals: queue.SimpleQueue[signal.Signals] = queue.SimpleQueue()

    def run(self) -> None:
        """Run until a signal ends it; returns when everything has ended.

        Raises:
            RefresherError: it could not start, because the port is taken, for example.
        """
        with self._signals_caught():
            self._daemon.start()
            self._systemd.ready("refreshing")
            stopped_by = self._supervise()
            self._systemd.stopping()
            self._daemon.stop(stopped_by.name, drain=self._drain, hurry=self._hurried)

    def _supervise(self) -> signal.Signals:
        """Until somebody asks to stop: reload when asked to, and feed the watchdog while well."""
        while True:
            received = self._next_signal(_TICK_SECONDS)
            asked = received is signal.SIGHUP
            while received is signal.SIGHUP:  # one look answers all that came until now
                received = self._next_signal(0)
            if received in _STOPPING:
                return received
            # Asked in any case: what is read now is not read, nor rejected, once more afterwards.
            changed = self._files.changed(thoroughly=asked)
            if asked or changed:
                self._reload()
            if self._daemon.well():
                self._systemd.alive()
            self._daemon.tidy()

    def _reload(self) -> None:
        try:
            config = self._load()
            self._daemon.follow(config)
        except RefresherError as error:
            self._daemon.reject(str(error))
        else:
            self._files.watch(config.files)

    def _hurried(self, seconds: float) -> bool:
        """Wait a little; whether somebody asked to stop once more."""
        return self._next_signal(seconds) in _STOPPING

    def _next_signal(self, seconds: float) -> signal.Signals | None:
        try:
            return self._signals.get(block=seconds > 0, timeout=seconds)
        except queue.Empty:
            return None

    @contextmanager
    def _signals_caught(self) -> Iterator[None]:
        def receive(number: int, _: FrameType | None) -> None:
            self._signals.put(signal.Signals(number))

        caught = (*_STOPPING, signal.SIGHUP)
        before = {number: signal.signal(number, receive) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
