"""The application on a socket, in a thread of its own.

Whoever can reach the port must not be able to hurt the daemon: connections, and the time each may
take for one request and its answer, are bounded; beyond that they are cut.
"""

import asyncio
import contextlib
import socket
import ssl
import threading

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from refresher.config.model import Server
from refresher.errors import ConfigError, RefresherError

_CONNECTIONS = 64
"""Prometheus keeps one or two; files and memory for more are the refreshes'."""
_BUSY_AFTER = 32
"""Beyond so many connections or requests at once the answer is 503."""
_REQUEST_SECONDS = 30.0
_STOP_SECONDS = 2
_TICK_SECONDS = 1.0


class WebServer:
    """Serves an application where the configuration says."""

    def __init__(
        self, server: Server, app: ASGIApp, *, request_seconds: float = _REQUEST_SECONDS
    ) -> None:
        self._server = server
        self._app = app
        self._request_seconds = request_seconds
        self._uvicorn: _Server | None = None
        self._thread: threading.Thread | None = None
        self._port = server.port

    @property
    def address(self) -> str:
        """Where it listens, as a URL; port 0 has become the real one once it is started."""
        scheme = "https" if self._server.tls_cert else "http"
        host = self._server.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}"

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Take the port and begin to answer.

        Raises:
            ConfigError: the TLS certificate or key can't be used.
            RefresherError: the port can't be taken.
        """
        config = self._configure()
        listener = self._listen()
        self._port = listener.getsockname()[1]
        self._uvicorn = _Server(config)
        self._thread = threading.Thread(
            target=self._uvicorn.run, args=([listener],), name="web", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Answer what is being asked, for at most two seconds, and give the port back."""
        if self._uvicorn is None or self._thread is None:
            return
        self._uvicorn.leave()
        self._thread.join(_STOP_SECONDS * 2)

    def _listen(self) -> socket.socket:
        host, port = self._server.host, self._server.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family)
        except OSError as error:
            message = (
                f"can't listen on {host}:{port}: {error.strerror or error}; free the port or set"
                " server.listen to another (port 0 takes any free one)"
            )
            raise RefresherError(message) from error

    def _configure(self) -> uvicorn.Config:
        config = uvicorn.Config(
            self._app,
            http=_bounded_protocol(self._request_seconds),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_BUSY_AFTER,
            timeout_graceful_shutdown=_STOP_SECONDS,
            ssl_certfile=self._server.tls_cert,
            ssl_keyfile=self._server.tls_key,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            message = (
                f"server.tls_cert {self._server.tls_cert} and server.tls_key"
                f" {self._server.tls_key} can't be used: {error}"
            )
            raise ConfigError(message) from error
        return config


class _Server(uvicorn.Server):
    """uvicorn's, which wakes up ten times a second to see whether it is to end: this one is told.

    Once a second it has to: it keeps the Date header.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def leave(self) -> None:
        """End; to be called from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._leaving.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), _TICK_SECONDS)


def _bounded_protocol(request_seconds: float) -> type[asyncio.Protocol]:
    """HTTP as uvicorn speaks it, but nobody may hold a connection for longer than a request."""

    class BoundedProtocol(H11Protocol):
        _end: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it too
            super().connection_made(transport)
            if len(self.connections) > _CONNECTIONS:
                transport.abort()
            self._allow()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._allow()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._end is not None:
                self._end.cancel()
            super().connection_lost(exc)

        def _allow(self) -> None:
            """Let the next request be asked and answered; then abort, whatever it waits for."""
            if self._end is not None:
                self._end.cancel()
            self._end = self.loop.call_later(request_seconds, self._cut)

        def _cut(self) -> None:
            self.transport.abort()

    return BoundedProtocol
