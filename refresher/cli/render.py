"""Showing results: lines for people, one JSON document for programs; `table.py` has the tables.

Results go to stdout; messages, warnings and progress to stderr. A reader that goes away, as in
`… | head`, is no failure.
"""

import io
import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from refresher.config.faults import printable
from refresher.durations import format_duration
from refresher.errors import RefresherError

_NEXT_UNIT = 1024


def prepare_streams() -> None:
    """Make sure that whatever is to be shown can be written, whoever started us and how."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before we began (`>&-`)
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
            setattr(sys, name, nowhere)
        elif isinstance(stream, io.TextIOWrapper):
            # What the terminal's encoding can't show is escaped, not a crash.
            stream.reconfigure(errors="backslashreplace")


def print_json(document: Any) -> None:  # noqa: ANN401 - anything JSON can hold
    """Print the one document of a command."""
    _write(sys.stdout, json.dumps(document, indent=2))


def say(line: str) -> None:
    """Print a line of the result."""
    _write(sys.stdout, printable(line))


def tell(line: str) -> None:
    """Tell the user something that is not the result."""
    _write(sys.stderr, printable(line))


def complain(problem: object) -> None:
    """Say what went wrong; a configuration may have many faults, a line each."""
    first, *others = str(problem).split("\n")
    for line in (f"refresher: {first}", *others):
        tell(line)


def moment(instant: datetime | None) -> str:
    """An instant as people read it, in the time zone of this machine."""
    if instant is None:
        return ""
    return instant.astimezone().isoformat(sep=" ", timespec="seconds")


def cell_moment(instant: datetime | None, now: datetime) -> str:
    """An instant in a table: on a terminal without what goes without saying."""
    if instant is None or not sys.stdout.isatty():
        return moment(instant)
    local = instant.astimezone()
    today = local.date() == now.astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M}"


def length(duration: timedelta | float | None) -> str:
    """A duration, or as many seconds, as people read it."""
    if duration is None:
        return ""
    seconds = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
    return format_duration(seconds)


def count(number: int, noun: str) -> str:
    """A number of things: `1 view`, `1,234 views`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """A number of bytes in the units `pg_size_pretty` uses: `3.4 MB`, 1 kB being 1024 bytes."""
    amount = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < _NEXT_UNIT:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= _NEXT_UNIT
    return f"{amount:.1f} TB"


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        _silence(stream)  # whoever read it has gone; what is left to do is done all the same
    except OSError as error:
        _silence(stream)
        message = f"can't write the result: {error.strerror}"
        raise RefresherError(message) from error


def _silence(stream: TextIO) -> None:
    """Let the rest of a broken stream go nowhere.

    Python would complain once more when it flushes at its end (docs.python.org, signal, "Note on
    SIGPIPE").
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
