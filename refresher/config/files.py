"""Reading a file that may be anything: huge, a pipe, a device, not text."""

import stat
from pathlib import Path

MAX_BYTES = 2**20
"""A thousand views with long queries fit in far less; what is larger is not configuration."""

_BOM = "\ufeff"


class UnreadableError(ValueError):
    """A file can't be used; says why, and in which line if it is one line's fault."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


def read_text(path: Path) -> str:
    """Read a regular file as UTF-8 text, without its byte order mark.

    Raises:
        UnreadableError: it can't be read, is no regular file, is too large, is not UTF-8 or has a
            NUL byte.
    """
    content = _read_bytes(path)
    if (nul := content.find(b"\0")) >= 0:
        problem = "has a NUL byte; save it as UTF-8 text"
        raise UnreadableError(problem, _line_of(content, nul))
    try:
        return content.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        problem = "is not UTF-8; save it as UTF-8 text"
        raise UnreadableError(problem, _line_of(content, error.start)) from error


def require_file(path: Path) -> None:
    """Make sure that a file exists and is one that can be read as a whole.

    Raises:
        UnreadableError: it is missing or no regular file.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise UnreadableError(_reason(error)) from error
    if stat.S_ISDIR(mode):
        problem = "is a directory; name a file"
        raise UnreadableError(problem)
    if not stat.S_ISREG(mode):
        problem = "is not a regular file; name one"
        raise UnreadableError(problem)


def _read_bytes(path: Path) -> bytes:
    require_file(path)  # before it is opened: opening a pipe would wait for its writer
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableError(_reason(error)) from error
    if len(content) > MAX_BYTES:
        problem = f"is larger than {MAX_BYTES // 2**20} MiB; split it"
        raise UnreadableError(problem)
    return content


def _reason(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            return "does not exist; create it, or correct its name"
        case PermissionError():
            return "can't be read; grant read permission to the user refresher runs as"
        case OSError():
            return f"can't be read ({error.strerror}); correct its name, or make it readable"
        case _:
            return "has a name the system does not accept; rename it"


def _line_of(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1
