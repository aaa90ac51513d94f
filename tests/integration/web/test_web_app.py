import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from refresher.config.model import Server
from refresher.errors import ConfigError
from refresher.web.app import Verdict, build_app
from refresher.web.guard import TokenFile
from refresher.web.server import WebServer

METRICS = b"# TYPE up gauge\nup 1\n"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"


class Answers:
    """What the application is told, as the test wants it."""

    def __init__(self) -> None:
        self.metrics = METRICS
        self.accepts: list[str] = []
        self.health = Verdict(ok=True)
        self.readiness = Verdict(ok=True)

    def expose(self, accept: str) -> tuple[bytes, str]:
        self.accepts.append(accept)
        return self.metrics, PLAIN


@pytest.fixture
def answers() -> Answers:
    return Answers()


Serve = Callable[..., httpx.Client]


@pytest.fixture
def serve(answers: Answers) -> Iterator[Serve]:
    """Start a server for the answers; returns a client of it."""
    servers: list[WebServer] = []
    clients: list[httpx.Client] = []

    def start(token: TokenFile | None = None) -> httpx.Client:
        app = build_app(
            expose=answers.expose,
            healthy=lambda: answers.health,
            ready=lambda: answers.readiness,
            token=token,
        )
        server = WebServer(Server(port=0), app)
        server.start()
        servers.append(server)
        clients.append(httpx.Client(base_url=server.address, timeout=10, trust_env=False))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
    for server in servers:
        server.stop()
        assert not server.alive


def test_metrics_are_served_as_they_are_rendered(serve: Serve, answers: Answers) -> None:
    answers.metrics = METRICS * 100_000

    response = serve().get("/metrics", headers={"Accept": "text/plain; q=0.3"})

    assert response.status_code == 200
    assert response.content == answers.metrics
    assert response.headers["content-type"] == PLAIN
    assert int(response.headers["content-length"]) == len(answers.metrics)
    assert answers.accepts == ["text/plain; q=0.3"]


def test_metrics_are_rendered_beside_the_event_loop(serve: Serve, answers: Answers) -> None:
    client = serve()
    healthy = threading.Event()
    seen: list[bool] = []

    def expose(accept: str) -> tuple[bytes, str]:
        seen.append(healthy.wait(10))
        return accept.encode(), PLAIN

    answers.expose = expose  # type: ignore[method-assign]  # the test's own answer
    client = serve()
    scrape = threading.Thread(target=client.get, args=("/metrics",))
    scrape.start()
    assert client.get("/healthz").status_code == 200
    healthy.set()
    scrape.join()

    assert seen == [True]


@pytest.mark.parametrize(("ok", "status"), [(True, 200), (False, 503)])
def test_health_and_readiness_are_told_with_detail(
    serve: Serve, answers: Answers, *, ok: bool, status: int
) -> None:
    answers.health = Verdict(ok=ok, detail={"silent": ["crm loop"]})
    answers.readiness = Verdict(ok=ok, detail={"state_read": {"crm": ok}})
    client = serve()

    health, readiness = client.get("/healthz"), client.get("/readyz")

    assert (health.status_code, readiness.status_code) == (status, status)
    assert health.json() == {"ok": ok, "silent": ["crm loop"]}
    assert readiness.json() == {"ok": ok, "state_read": {"crm": ok}}
    assert json.loads(readiness.text)["state_read"] == {"crm": ok}


@pytest.mark.parametrize(
    "path", ["/", "/metrics/", "/metricsx", "/favicon.ico", "/healthz/live", "/..%2fmetrics", "//"]
)
def test_any_other_path_is_not_found(serve: Serve, path: str) -> None:
    assert serve().get(path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_nothing_can_be_changed(serve: Serve, method: str, path: str) -> None:
    assert serve().request(method, path).status_code == 405


def test_head_tells_without_a_body(serve: Serve) -> None:
    response = serve().head("/metrics")

    assert response.status_code == 200
    assert response.content == b""
    assert int(response.headers["content-length"]) == len(METRICS)


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/nowhere"])
def test_headers_are_strict_on_every_answer(serve: Serve, path: str) -> None:
    headers = serve().get(path).headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_a_failing_renderer_is_an_error_that_shows_nothing(
    serve: Serve, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    def expose(accept: str) -> tuple[bytes, str]:
        message = f"a secret {accept}"
        raise ValueError(message)

    answers.expose = expose  # type: ignore[method-assign]  # the test's own answer
    client = serve()
    response = client.get("/metrics", headers={"Connection": "close"})

    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    assert client.get("/healthz").status_code == 200
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.name for record in errors] == ["uvicorn.error"]


class TestToken:
    @pytest.fixture
    def token_file(self, tmp_path: Path) -> Path:
        path = tmp_path / "token"
        path.write_text("  open-sesame\n")
        return path

    def test_metrics_need_the_token_and_health_does_not(
        self, serve: Serve, token_file: Path
    ) -> None:
        client = serve(TokenFile(token_file))

        refused = client.get("/metrics")
        accepted = client.get("/metrics", headers={"Authorization": "Bearer open-sesame"})

        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.headers["x-content-type-options"] == "nosniff"
        assert accepted.status_code == 200
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 401
        assert client.get("/nowhere").status_code == 401

    @pytest.mark.parametrize(
        "authorization",
        [
            "Bearer open-sesam",
            "Bearer open-sesame2",
            "Bearer",
            "Basic open-sesame",
            "open-sesame",
            "Bearer öpen-sesame",
        ],
    )
    def test_anything_else_is_refused(
        self, serve: Serve, token_file: Path, authorization: str
    ) -> None:
        headers = {b"Authorization": authorization.encode("latin-1")}

        assert serve(TokenFile(token_file)).get("/metrics", headers=headers).status_code == 401

    def test_the_scheme_is_read_in_any_case(self, serve: Serve, token_file: Path) -> None:
        headers = {"Authorization": "bearer   open-sesame"}

        assert serve(TokenFile(token_file)).get("/metrics", headers=headers).status_code == 200

    def test_a_rotated_token_is_in_force_at_once(self, serve: Serve, token_file: Path) -> None:
        client = serve(TokenFile(token_file))
        new = token_file.with_name("new")
        new.write_text("open-barley")
        new.replace(token_file)

        def status(token: str) -> int:
            return client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code

        assert (status("open-barley"), status("open-sesame")) == (200, 401)

    def test_without_its_file_nobody_gets_in(self, serve: Serve, token_file: Path) -> None:
        client = serve(TokenFile(token_file))
        headers = {"Authorization": "Bearer open-sesame"}
        token_file.unlink()
        gone = client.get("/metrics", headers=headers).status_code
        token_file.write_text(" \n")
        empty = client.get("/metrics", headers={"Authorization": "Bearer"}).status_code
        token_file.write_text("open-sesame")

        assert (gone, empty) == (401, 401)
        assert client.get("/metrics", headers=headers).status_code == 200

    @pytest.mark.parametrize("content", [None, "", " \n"])
    def test_an_unusable_file_is_said_at_once(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "token"
        if content is not None:
            path.write_text(content)

        with pytest.raises(ConfigError, match=r"server\.token_file .*token can't be used"):
            TokenFile(path)
