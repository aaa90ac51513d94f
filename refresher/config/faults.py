"""What is wrong with a configuration, collected so that everything can be said at once."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from refresher.errors import ConfigError

LIMIT = 100
"""Faults shown; whoever has more than these fixes them first."""

_SHOWN_CHARACTERS = 60
_SHOWN_WORDS = 20
_COMPARED_WORDS = 1000
_PLAIN_KEY = re.compile(r"[\w-]+")

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where in a document something is: keys, and positions in lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line of a file."""

    file: Path
    line: int | None = None

    def __str__(self) -> str:
        return printable(str(self.file) if self.line is None else f"{self.file}:{self.line}")


class Faults:
    """Collects faults; those of the main file are told first."""

    def __init__(self, main: Path) -> None:
        self._found: list[tuple[Place, str]] = []
        self._files = {main: 0}

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def enough(self) -> bool:
        """Whether more faults than are shown were found: no need to look for others."""
        return len(self._found) > LIMIT

    def add(self, place: Place, path: KeyPath, problem: str) -> None:
        """Note one fault. `problem` says what is wrong and what to do, and holds no secret."""
        if self.enough:
            return
        self._files.setdefault(place.file, len(self._files))
        where = f"{show_path(path)}: " if path else ""
        self._found.append((place, f"{place}: {where}{printable(problem)}"))

    def error(self) -> ConfigError:
        """Everything found as one error, in the order of files and lines."""
        ordered = sorted(
            self._found, key=lambda found: (self._files[found[0].file], found[0].line or 0)
        )
        lines = [text for _, text in ordered[:LIMIT]]
        if self.enough:
            lines.append(f"more than {LIMIT} faults; the others are not shown")
        return ConfigError("\n".join(lines))


def show_path(path: KeyPath) -> str:
    """A path as `views.orders.indexes[0].columns`, keys quoted where they must be."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            key = shorten(step) if _PLAIN_KEY.fullmatch(step) else f'"{shorten(step)}"'
            text += f".{key}" if text else key
    return printable(text)


def shorten(text: str) -> str:
    """Text cut to what fits in a message."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def printable(text: str) -> str:
    """Text that can be written to any terminal: what can't be printed is escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def suggest(unknown: str, known: Sequence[str]) -> str:
    """What to write instead of an unknown word: the nearest one, else what there is."""
    near = difflib.get_close_matches(shorten(unknown), known[:_COMPARED_WORDS], n=1)
    if near:
        return f"did you mean {near[0]}?"
    more = ", …" if len(known) > _SHOWN_WORDS else ""
    return f"use one of {', '.join(known[:_SHOWN_WORDS])}{more}"
