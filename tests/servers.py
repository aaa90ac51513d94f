"""One PostgreSQL for a whole pytest run, started only when a test asks for it.

The process that the user started owns it; pytest-xdist's workers ask that process for it over a
loopback connection. However the run ends, kill -9 included, the server ends with that process.
"""

import contextlib
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any, Protocol

from psycopg.conninfo import make_conninfo

from refresher import embedded
from refresher.postgres import sessions
from refresher.store.migrate import migrate

TEMPLATE = "refresher_template"
"""The database every test's own is a copy of."""

_SETTINGS = {
    # Its locks and its load would come at times no test knows.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_connections": "200",
    "max_wal_size": "4GB",
}
_MEMORY_DISK = Path("/dev/shm")  # noqa: S108 - the server makes a private directory in it
_ENOUGH_BYTES = 4 * 2**30


class ServerSource(Protocol):
    """Where a test process gets the server from."""

    def conninfo(self) -> str:
        """How the superuser connects; starts the server if nobody has yet."""

    def close(self) -> None:
        """The run is over."""


class OwnedServer:
    """The server, in the process that owns it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: embedded.Server | None = None
        self._desk: _Desk | None = None

    def conninfo(self) -> str:
        with self._lock:
            if self._server is None:
                with _temporary_files_in(fast_directory()):
                    server = embedded.start(settings=_SETTINGS)
                self._server = server
                _build_template(server.conninfo)
            return self._server.conninfo

    def invitation(self) -> dict[str, Any]:
        """What a worker needs to ask for the server."""
        if self._desk is None:
            self._desk = _Desk(self)
        return self._desk.invitation

    def close(self) -> None:
        if self._desk is not None:
            self._desk.close()
        with self._lock:
            if self._server is not None:
                self._server.stop()


class BorrowedServer:
    """The same server, in a worker."""

    def __init__(self, invitation: dict[str, Any]) -> None:
        self._invitation = invitation
        self._conninfo: str | None = None

    def conninfo(self) -> str:
        if self._conninfo is None:
            self._conninfo = _ask(self._invitation, "conninfo")
        return self._conninfo

    def close(self) -> None:
        pass


class _Desk:
    """Answers the workers, in a thread of the owning process."""

    def __init__(self, server: OwnedServer) -> None:
        key = secrets.token_hex(16)
        self._server = server
        self._listener = Listener(("127.0.0.1", 0), authkey=key.encode())
        host, port = self._listener.address
        self.invitation = {"host": host, "port": port, "key": key}
        self._thread = threading.Thread(target=self._answer, name="server desk", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            _ask(self.invitation, "close")
        self._thread.join()
        self._listener.close()

    def _answer(self) -> None:
        asked = ""
        while asked != "close":
            refusals = contextlib.suppress(OSError, EOFError, AuthenticationError)
            with refusals, self._listener.accept() as connection:
                asked = connection.recv()
                connection.send(self._reply() if asked == "conninfo" else ("", ""))

    def _reply(self) -> tuple[str, str]:
        try:
            return self._server.conninfo(), ""
        except Exception as error:  # noqa: BLE001 - the worker that asked raises it
            return "", f"{type(error).__name__}: {error}"


def _ask(invitation: dict[str, Any], question: str) -> str:
    address = (invitation["host"], invitation["port"])
    with Client(address, authkey=invitation["key"].encode()) as connection:
        connection.send(question)
        conninfo, failure = connection.recv()
    if failure:
        raise RuntimeError(failure)
    return str(conninfo)


def _build_template(conninfo: str) -> None:
    with sessions.connect(endpoint_of(conninfo)) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    template = endpoint_of(make_conninfo(conninfo, dbname=TEMPLATE))
    with sessions.connect(template) as connection:
        migrate(connection)


def endpoint_of(conninfo: str) -> sessions.Endpoint:
    """A database as the rest of refresher takes it."""
    return sessions.Endpoint(alias="crm", conninfo=conninfo, session={})


def fast_directory() -> Path:
    """Where servers put their files: making a database takes 10 ms in memory, 200 on some disks."""
    has_room = _MEMORY_DISK.is_dir() and shutil.disk_usage(_MEMORY_DISK).free > _ENOUGH_BYTES
    return _MEMORY_DISK if has_room else Path(tempfile.gettempdir())


@contextlib.contextmanager
def _temporary_files_in(directory: Path) -> Iterator[None]:
    before = tempfile.tempdir
    tempfile.tempdir = str(directory)
    try:
        yield
    finally:
        tempfile.tempdir = before
