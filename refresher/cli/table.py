"""Tables that lose nothing: as wide as they must be in a pipe, as narrow as they can on a terminal.

Too narrow a terminal for whole words side by side gets one record after the other.
"""

import shutil
import sys
from collections.abc import Sequence

from refresher.cli import render
from refresher.config.faults import printable

_GAP = 2
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

NOTHING = "-"
"""Stands where there is no value."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns on stdout."""
    cells = [[printable(cell) or NOTHING for cell in row] for row in rows]
    lines = [list(columns), *cells]
    natural = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if not sys.stdout.isatty():
        for line in lines:
            render.say(_joined(line, natural))
        return
    least = [max(map(_longest_word, column)) for column in zip(*lines, strict=True)]
    widths = fit(natural, least, shutil.get_terminal_size().columns)
    if widths is None:
        _print_records(columns, cells)
    else:
        _print_on_terminal(columns, cells, widths)


def fit(natural: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """The widths of columns that fit, taken from the widest; None if even the least don't."""
    widths = list(natural)
    while sum(widths) + _GAP * (len(widths) - 1) > room:
        reducible = [index for index, width in enumerate(widths) if width > least[index]]
        if not reducible:
            return None
        widths[max(reducible, key=lambda index: widths[index])] -= 1
    return widths


def _joined(line: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
    return (" " * _GAP).join(padded).rstrip()


def _longest_word(cell: str) -> int:
    indent = len(cell) - len(cell.lstrip())
    return indent + max(map(len, cell.split()), default=0)


def _print_on_terminal(
    columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> None:
    from rich.console import Console  # noqa: PLC0415 - a pipe does without
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, width=width, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(table)


def _print_records(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    width = max(map(len, columns))
    for number, row in enumerate(rows):
        if number:
            render.say("")
        for column, cell in zip(columns, row, strict=True):
            render.say(_joined((column, cell), (width, len(cell))))
