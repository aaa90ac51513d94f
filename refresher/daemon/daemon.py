"""The daemon's parts, put together: loops, observers, metrics, web. Signals are not its concern."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from refresher.config.model import Config, View
from refresher.daemon.applying import Applying
from refresher.daemon.fleet import Fleet
from refresher.daemon.listeners import fan_out
from refresher.events import (
    CheckBroken,
    CheckMended,
    ConfigCurrent,
    ConfigOutdated,
    ConfigRejected,
    ConfigReloaded,
    DaemonStarted,
    DaemonStopped,
    DaemonStopping,
    DatabaseUp,
    DriftFound,
    DriftGone,
    Event,
    Listener,
    RefreshedOutside,
    RunFinished,
)
from refresher.observe.collector import ProcessCollector
from refresher.observe.exposition import Exposition
from refresher.observe.histograms import Histograms
from refresher.observe.latest import Latest
from refresher.observe.vitals import Vitals
from refresher.postgres.sessions import Connection, Endpoint
from refresher.store.migrate import migrate
from refresher.store.presence import worker_name
from refresher.web.app import Verdict, build_app
from refresher.web.guard import TokenFile
from refresher.web.server import WebServer

_CANCEL_AGAIN_SECONDS = 0.2
_LEAVE_SECONDS = 10.0
"""How long cancelled refreshes get to record their end before the process goes anyway."""


class Daemon:
    """Refreshes what a configuration says until it is stopped."""

    def __init__(self, config: Config, *, listener: Listener, applies: bool = False) -> None:
        self.worker = worker_name()
        self._config = config
        self._applies = applies
        self._vitals = Vitals()
        self._latest = Latest()
        self._histograms = Histograms()
        self._emit = fan_out(
            listener,
            self._vitals.listen,
            self._latest.listen,
            self._histograms.listen,
            self._look_after,
        )
        self._fleet = Fleet(
            worker=self.worker,
            emit=self._emit,
            vitals=self._vitals,
            latest=self._latest,
            prepare=self._prepare,
        )
        process = ProcessCollector(self._latest, self._vitals, self._histograms)
        server = config.server
        self._web = WebServer(
            server,
            build_app(
                expose=Exposition(self._latest, process).render,
                healthy=self._healthy,
                ready=self._ready,
                token=TokenFile(server.token_file) if server.token_file else None,
            ),
        )

    @property
    def address(self) -> str:
        """Where the metrics are, as a URL."""
        return self._web.address

    def start(self) -> None:
        """Take the port, then begin with every database.

        Raises:
            RefresherError: the port can't be taken.
        """
        self._web.start()
        self._fleet.follow(self._config)
        self._emit(DaemonStarted(worker=self.worker, listen=self.address))

    def follow(self, config: Config) -> None:
        """Put a new configuration in force; the server's settings wait for a restart."""
        listens_elsewhere = config.server != self._config.server
        self._config = config
        self._fleet.follow(config)
        note = "the changed server settings wait for a restart" if listens_elsewhere else None
        self._emit(ConfigReloaded(views=len(config.views), note=note))

    def reject(self, error: str) -> None:
        """A new configuration is invalid: the one in force stays."""
        self._emit(ConfigRejected(error=error))

    def tidy(self) -> None:
        """End what a reload retired, and see who gets no answers; to be called now and then."""
        self._fleet.tidy()

    def well(self) -> bool:
        """Whether every part still moves."""
        return self._healthy().ok

    def stop(self, why: str, *, drain: timedelta, hurry: Callable[[float], bool]) -> None:
        """End: start nothing more, let refreshes at work go on for `drain`, then cancel them.

        `hurry` waits for some seconds and tells whether to cancel at once.
        """
        self._emit(DaemonStopping(signal=why, running=self._fleet.busy))
        self._fleet.drain()
        deadline = time.monotonic() + drain.total_seconds()
        while self._fleet.busy and time.monotonic() < deadline and not hurry(0.05):
            pass
        cancelled = self._fleet.busy
        deadline = time.monotonic() + _LEAVE_SECONDS
        while self._fleet.cancel() and time.monotonic() < deadline:
            hurry(_CANCEL_AGAIN_SECONDS)
        if not self._fleet.busy:
            self._fleet.stop()
        self._web.stop()
        self._emit(DaemonStopped(cancelled=cancelled))

    def _prepare(
        self, connection: Connection, endpoint: Endpoint, views: Mapping[str, View], worker: str
    ) -> Applying | None:
        """Before a database is worked with: its store, and what `--apply` asks for."""
        migrate(connection)
        if not self._applies:
            return None
        return Applying(
            endpoint,
            database=self._config.databases[endpoint.alias],
            views=views,
            prune=self._config.prune,
            worker=worker,
            emit=self._emit,
        )

    def _look_after(self, event: Event) -> None:
        if isinstance(event, RunFinished) and event.run.succeeded:
            self._fleet.refreshed(event.database, event.run.view)
        match event:
            case (
                RunFinished(database=alias)
                | DriftFound(database=alias)
                | DriftGone(database=alias)
                | RefreshedOutside(database=alias)
                | CheckBroken(database=alias)
                | CheckMended(database=alias)
            ):
                self._fleet.look(alias)
            case DatabaseUp(database=alias):
                # The store is there now, and --apply, if asked for, has done what it can.
                self._fleet.look_around(alias)
            case ConfigOutdated(database=alias) | ConfigCurrent(database=alias):
                self._fleet.share(alias)
            case _:
                pass

    def _healthy(self) -> Verdict:
        silent = self._fleet.silent()
        return Verdict(ok=not silent, detail={"silent": silent} if silent else {})

    def _ready(self) -> Verdict:
        readings = self._latest.readings()
        read = {alias: reading.snapshot is not None for alias, reading in readings.items()}
        up = {alias: reading.up for alias, reading in readings.items()}
        # Not by who is up: one database that is away would hold up the deployment for all others.
        return Verdict(ok=all(read.values()), detail={"state_read": read, "up": up})
