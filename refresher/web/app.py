"""The HTTP application: /metrics, /healthz, /readyz, and nothing else."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from refresher.web.guard import RequireToken, StrictHeaders, TokenFile

Expose: TypeAlias = Callable[[str], tuple[bytes, str]]
"""From an Accept header to the metrics and their content type."""

_OPEN_PATHS = frozenset({"/healthz"})

_PIECE = 256 * 1024
"""How much of the metrics is handed to the socket at a time: what a slow client can pin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether all is well, and what was looked at; the detail is shown to whoever asks."""

    ok: bool
    detail: Mapping[str, Any] = field(default_factory=dict)


Judge: TypeAlias = Callable[[], Verdict]
"""Called on the event loop, so it must answer from memory at once."""


def build_app(
    *, expose: Expose, healthy: Judge, ready: Judge, token: TokenFile | None = None
) -> ASGIApp:
    """Put the application together.

    Args:
        expose: renders the metrics; called in a thread, for it may take a while.
        healthy: whether the process does its part; a supervisor starts it anew otherwise.
        ready: whether the configuration is valid and the state has been read.
        token: needed for everything but /healthz, which a supervisor asks without secrets.
    """

    async def metrics(request: Request) -> Response:
        body, content_type = await run_in_threadpool(expose, request.headers.get("accept", ""))
        headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
        return StreamingResponse(_pieces(body), headers=headers)

    async def healthz(_: Request) -> Response:
        return _answer(healthy())

    async def readyz(_: Request) -> Response:
        return _answer(ready())

    starlette = Starlette(
        routes=[
            Route("/metrics", metrics, methods=["GET"]),
            Route("/healthz", healthz, methods=["GET"]),
            Route("/readyz", readyz, methods=["GET"]),
        ],
    )
    starlette.router.redirect_slashes = False
    guarded = starlette if token is None else RequireToken(starlette, token, _OPEN_PATHS)
    return StrictHeaders(guarded)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def _answer(verdict: Verdict) -> JSONResponse:
    content = {"ok": verdict.ok, **verdict.detail}
    return JSONResponse(content, status_code=200 if verdict.ok else 503)
