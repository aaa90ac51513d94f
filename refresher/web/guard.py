"""What every request passes through: who may ask, and what a browser may do with the answer."""

import hmac
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from refresher.errors import ConfigError

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LONGEST_TOKEN = 4096


class StrictHeaders:
    """Adds the headers that keep a browser from running, framing or guessing anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on (ASGI)."""

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_strictly)


class TokenFile:
    """A bearer token in a file, reread when the file changes, so that it can be rotated."""

    def __init__(self, path: Path) -> None:
        """Read it for the first time.

        Raises:
            ConfigError: it can't be read, or holds no token.
        """
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._token = b""
        try:
            self._reread()
        except (OSError, ValueError) as error:
            message = f"server.token_file {path} can't be used: {error}"
            raise ConfigError(message) from error

    def accepts(self, authorization: str) -> bool:
        """Whether an Authorization header carries the token; never while the file is unreadable."""
        try:
            self._reread()
        except (OSError, ValueError):
            return False
        scheme, _, credentials = authorization.partition(" ")
        offered = credentials.strip().encode("latin-1", errors="replace")
        return scheme.lower() == "bearer" and hmac.compare_digest(offered, self._token)

    def _reread(self) -> None:
        status = self._path.stat()
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return
        self._seen = None
        with self._path.open("rb") as file:
            token = file.read(_LONGEST_TOKEN).strip()
        if not token:
            message = "it is empty"
            raise ValueError(message)
        self._token, self._seen = token, seen


class RequireToken:
    """Refuses whoever doesn't carry the token; `open_paths` need none."""

    def __init__(self, app: ASGIApp, token: TokenFile, open_paths: frozenset[str]) -> None:
        self._app = app
        self._token = token
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 (ASGI)."""
        offered = Headers(scope=scope).get("authorization", "")
        if scope["path"] in self._open_paths or self._token.accepts(offered):
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse(
            "a bearer token is needed\n", status_code=401, headers={"WWW-Authenticate": "Bearer"}
        )
        await refusal(scope, receive, send)
