import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from refresher.config.model import Server
from refresher.errors import ConfigError, RefresherError
from refresher.web.app import Verdict, build_app
from refresher.web.server import WebServer
from tests.waiting import wait_until

HERE = Path(__file__).parent
CERTIFICATE = HERE / "localhost-cert.pem"
KEY = HERE / "localhost-key.pem"
"""Signed by itself for a hundred years; good for nothing but these tests."""

Start = Callable[..., WebServer]


def make_app(body: bytes = b"up 1\n") -> ASGIApp:
    return build_app(
        expose=lambda _accept: (body, "text/plain"),
        healthy=lambda: Verdict(ok=True),
        ready=lambda: Verdict(ok=True),
    )


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[WebServer] = []

    def start_one(
        server: Server | None = None, *, body: bytes = b"up 1\n", request_seconds: float = 30.0
    ) -> WebServer:
        made = WebServer(server or Server(port=0), make_app(body), request_seconds=request_seconds)
        made.start()
        servers.append(made)
        return made

    yield start_one
    for server in servers:
        server.stop()
        assert not server.alive


def port_of(server: WebServer) -> int:
    return int(server.address.rpartition(":")[2])


def connect(server: WebServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server)), timeout=10)


def is_cut(connection: socket.socket) -> bool:
    """Whether the server has ended the connection, once everything it sent is read."""
    try:
        while connection.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def get(server: WebServer, path: str = "/healthz") -> httpx.Response:
    return httpx.get(f"{server.address}{path}", timeout=10, trust_env=False)


def test_port_0_becomes_a_real_one(start: Start) -> None:
    server = start()

    assert port_of(server) > 0
    assert get(server).status_code == 200


def test_a_taken_port_is_said_clearly(start: Start) -> None:
    port = port_of(start())

    with pytest.raises(RefresherError, match=rf"127\.0\.0\.1:{port}.*in use.*server\.listen"):
        start(Server(port=port))


def test_an_address_that_is_not_ours_is_said_clearly(start: Start) -> None:
    with pytest.raises(RefresherError, match=r"can't listen on 192\.0\.2\.1:0"):
        start(Server(host="192.0.2.1", port=0))


def test_the_port_is_free_after_a_stop(start: Start) -> None:
    first = start()
    port = port_of(first)
    first.stop()

    assert not first.alive
    with pytest.raises(httpx.ConnectError):
        get(first)
    assert get(start(Server(port=port))).status_code == 200


def test_stopping_waits_for_nobody_for_long(start: Start) -> None:
    server = start()
    with connect(server) as idle, connect(server) as half:
        half.sendall(b"GET /healthz HTTP/1.1\r\n")

        server.stop()

        assert not server.alive
        assert is_cut(idle)


def test_stopping_twice_or_before_the_start_is_nothing(start: Start) -> None:
    WebServer(Server(port=0), make_app()).stop()
    server = start()
    server.stop()

    server.stop()

    assert not server.alive


def test_ipv6_is_listened_on(start: Start) -> None:
    server = start(Server(host="::1", port=0))

    assert server.address.startswith("http://[::1]:")
    assert get(server).status_code == 200


def test_tls(start: Start) -> None:
    server = start(Server(port=0, tls_cert=CERTIFICATE, tls_key=KEY))
    trust = ssl.create_default_context(cafile=CERTIFICATE)

    response = httpx.get(f"{server.address}/healthz", verify=trust, timeout=10, trust_env=False)

    assert server.address.startswith("https://127.0.0.1:")
    assert response.status_code == 200
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.address.replace("https", "http"), timeout=10, trust_env=False)


@pytest.mark.parametrize("broken", [HERE / "missing.pem", Path(__file__)])
def test_an_unusable_certificate_is_said_clearly(start: Start, broken: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.tls_cert .* can't be used"):
        start(Server(port=0, tls_cert=broken, tls_key=KEY))


def test_a_client_that_never_finishes_asking_is_cut(start: Start) -> None:
    server = start(request_seconds=0.2)
    with connect(server) as silent, connect(server) as dripping:
        dripping.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")

        assert is_cut(silent)
        assert is_cut(dripping)
    assert get(server).status_code == 200


def test_a_client_that_never_reads_is_cut(start: Start) -> None:
    server = start(body=b"up 1\n" * 4_000_000, request_seconds=0.5)
    with connect(server) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")

        wait_until(lambda: not _connections(server), what="the connection to be cut")

        assert is_cut(client)


def test_a_connection_may_be_used_again_and_again(start: Start) -> None:
    server = start(request_seconds=0.5)
    with httpx.Client(base_url=server.address, trust_env=False) as client:
        for _ in range(20):
            assert client.get("/metrics").status_code == 200
        assert len(_connections(server)) == 1


def test_many_idle_clients_keep_nobody_out_for_long(start: Start) -> None:
    server = start(request_seconds=0.5)
    with contextlib.ExitStack() as idle:
        for _ in range(200):
            idle.enter_context(connect(server))

        wait_until(lambda: get_or_none(server) == 200, what="an answer")
        assert len(_connections(server)) <= 64


def get_or_none(server: WebServer) -> int | None:
    with contextlib.suppress(httpx.TransportError):
        return get(server).status_code
    return None


def test_many_requests_at_once_are_answered_or_turned_away(start: Start) -> None:
    server = start(body=b"up 1\n" * 100_000)
    statuses: list[int] = []

    def ask() -> None:
        with contextlib.suppress(httpx.TransportError):
            statuses.append(get(server, "/metrics").status_code)

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 200 in statuses
    assert set(statuses) <= {200, 503}
    assert get(server).status_code == 200


@pytest.mark.parametrize(
    "request_line",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: \xff\xfe\r\n\r\n",
        b"\r\n" * 1000,
    ],
)
def test_rubbish_hurts_nobody_and_is_not_logged(
    start: Start, caplog: pytest.LogCaptureFixture, request_line: bytes
) -> None:
    server = start(request_seconds=0.3)
    with connect(server) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(request_line)
        assert is_cut(client)

    assert get(server).status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_websocket_is_no_way_in(start: Start) -> None:
    server = start(request_seconds=0.3)
    handshake = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    with connect(server) as client:
        client.sendall(handshake + b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n")

        assert client.recv(100).startswith(b"HTTP/1.1 200")


def _connections(server: WebServer) -> set[object]:
    assert server._uvicorn is not None
    return set(server._uvicorn.server_state.connections)
