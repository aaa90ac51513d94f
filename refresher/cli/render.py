"""Showing results: tables for people, lines for pipes, one JSON document for programs.

Results go to stdout; messages, warnings and progress to stderr. Off a terminal there are no
colours, no boxes and no cut values. A reader that goes away (`… | head`) is no failure.
"""

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TextIO

from refresher.config.faults import printable
from refresher.durations import format_duration

NOTHING = "-"
"""Stands where there is no value."""


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


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: as wide as it must be in a pipe, as wide as it may be on a terminal."""
    cells = [[printable(cell) or NOTHING for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_on_terminal(columns, cells)
        return
    lines = [columns, *cells]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        _write(sys.stdout, "  ".join(padded).rstrip())


def _print_on_terminal(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - a pipe does without
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(table)


_STYLES = {
    "fresh": "green",
    "late": "yellow",
    "stale": "red",
    "unknown": "red",
    "succeeded": "green",
    "unchanged": "green",
    "failed": "red",
    "cancelled": "yellow",
}


def moment(instant: datetime | None) -> str:
    """An instant as people read it, in the time zone of this machine."""
    if instant is None:
        return ""
    return instant.astimezone().isoformat(sep=" ", timespec="seconds")


def length(duration: timedelta | float | None) -> str:
    """A duration, or as many seconds, as people read it."""
    if duration is None:
        return ""
    seconds = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
    return format_duration(seconds)


def count(number: int, noun: str) -> str:
    """A number of things: `1 view`, `1,234 views`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        # Whoever read it has gone; what is left to do is done all the same. Python would complain
        # once more when it flushes at its end (docs.python.org, signal, "Note on SIGPIPE").
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
