"""A proxy before a server: it swallows replies to COMMIT, and leads to another server if told to.

It listens on a socket in a directory of its own, where libpq asks for no encryption. Of what passes
it understands as much as it takes to know the COMMIT of a refresh.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.faults.instruments.framing import COMMAND_COMPLETE, READY, Message, Splitter

_PORT = "5432"
_CHUNK = 65536
_REFRESHES = b"REFRESH MATERIALIZED VIEW"


@dataclass(frozen=True, slots=True)
class Swallowed:
    """A reply that never came."""

    tag: str
    """What PostgreSQL said it had done: COMMIT, or ROLLBACK where it refused."""


class Proxy:
    """One before one server at a time; `running` makes it."""

    def __init__(self, directory: Path, target: str) -> None:
        self.swallowed: list[Swallowed] = []
        self._target = target
        self._directory = directory
        self._wanted = 0
        self._changed = threading.Condition()
        self._closing = False
        self._passages: set[_Passage] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(directory / f".s.PGSQL.{_PORT}"))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()

    def conninfo(self, behind: str) -> str:
        """How to go through it to a database of the server behind."""
        return make_conninfo(behind, host=str(self._directory), port=_PORT)

    def lead_to(self, target: str) -> None:
        """From now on, new connections go to another server; those that are stay where they are."""
        self._target = target

    def swallow(self, replies: int) -> None:
        """Let the next commits of refreshes happen, keep the replies, and cut those connections."""
        with self._changed:
            self._wanted = replies

    def wait_swallowed(self, total: int, *, deadline: float) -> bool:
        """Wait until so many replies in all were swallowed; whether they were in time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.swallowed) >= total, deadline)

    def cut(self) -> None:
        """Break every connection that it has."""
        with self._changed:
            passages = list(self._passages)
        for passage in passages:
            passage.cut()

    def close(self) -> None:
        """Listen no more, and break what is left."""
        self._closing = True
        _shut(self._listener)
        self._thread.join()
        self._listener.close()
        self.cut()
        with self._changed:
            self._changed.wait_for(lambda: not self._passages, 5.0)

    def take_one(self) -> bool:
        """Whether the reply to a commit that is about to be sent is to be swallowed."""
        with self._changed:
            taken = self._wanted > 0
            self._wanted -= taken
            return taken

    def note(self, swallowed: Swallowed) -> None:
        """A reply was swallowed."""
        with self._changed:
            self.swallowed.append(swallowed)
            self._changed.notify_all()

    def forget(self, passage: "_Passage") -> None:
        """A connection is over."""
        with self._changed:
            self._passages.discard(passage)
            self._changed.notify_all()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(_socket_path(self._target))
            except OSError:
                # As a client of a server that is not there sees it, but for the moment.
                client.close()
                server.close()
                continue
            passage = _Passage(self, client, server)
            with self._changed:
                self._passages.add(passage)
            passage.start()


class _Passage:
    """One connection: a thread each way."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._refreshes = False
        self._swallowing = threading.Event()
        self._threads = [
            threading.Thread(target=self._forth, name="proxy forth", daemon=True),
            threading.Thread(target=self._back, name="proxy back", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def cut(self) -> None:
        """Break it, on both sides."""
        _shut(self._client)
        _shut(self._server)

    def _forth(self) -> None:
        splitter = Splitter(begins=True)
        with contextlib.suppress(OSError):
            while data := self._client.recv(_CHUNK):
                for message in splitter.feed(data):
                    self._look_at(message)
                    self._server.sendall(message.raw)
        self.cut()

    def _look_at(self, message: Message) -> None:
        if message.statement.startswith(b"BEGIN"):
            self._refreshes = False
        elif _REFRESHES in message.statement:
            self._refreshes = True
        elif message.commits and self._refreshes and self._proxy.take_one():
            # Before the server can answer; it has nothing else to say meanwhile.
            self._swallowing.set()

    def _back(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(_CHUNK):
                if self._swallowing.is_set():
                    self._swallow(data)
                    break
                self._client.sendall(data)
        self.cut()
        self._threads[0].join()
        self._client.close()
        self._server.close()
        self._proxy.forget(self)

    def _swallow(self, data: bytes) -> None:
        """Read the whole reply, so that what it tells has happened before the cut."""
        splitter = Splitter(begins=False)
        tag = "nothing"
        while data:
            for message in splitter.feed(data):
                if message.kind == COMMAND_COMPLETE:
                    tag = message.contents.rstrip(b"\0").decode()
                elif message.kind == READY:
                    self._proxy.note(Swallowed(tag))
                    return
            data = self._server.recv(_CHUNK)


@contextlib.contextmanager
def running(directory: Path, server: str) -> Iterator[Proxy]:
    """Run one until the block ends; `server` is how a superuser connects to the one behind."""
    proxy = Proxy(directory, server)
    try:
        yield proxy
    finally:
        proxy.close()


def _socket_path(conninfo: str) -> str:
    parts = conninfo_to_dict(conninfo)
    return f"{parts['host']}/.s.PGSQL.{parts.get('port') or _PORT}"


def _shut(end: socket.socket) -> None:
    """End it for whoever waits on it in another thread, which `close` alone would not."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
