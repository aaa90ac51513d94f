"""A YAML document as a tree in which every key and value still knows its line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from refresher.config.faults import KeyPath, Place

Value: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """One value. `raw` is what the user wrote, variables unreplaced: safe to show."""

    line: int
    raw: str
    value: Value
    replaced: bool = False
    """Whether `value` came out of variables and so may be secret."""
    broken: bool = False
    """Whether a fault was found in it already; what follows from that is no news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list."""

    line: int
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """A mapping; each entry remembers the line of its key."""

    line: int
    entries: dict[str, "Node"] = field(default_factory=dict)
    key_lines: dict[str, int] = field(default_factory=dict)


Node: TypeAlias = Scalar | Items | Entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A node and where it stands: what a fault is reported against."""

    file: Path
    path: KeyPath
    node: Node
    line: int

    def place(self) -> Place:
        """The file and line to name in a message."""
        return Place(file=self.file, line=self.line)

    def below(self, steps: KeyPath) -> "Spot":
        """The spot that a path leads to, or as far as the document goes."""
        spot = self
        for step in steps:
            match spot.node, step:
                case Entries(entries=entries, key_lines=lines), str() if step in entries:
                    node, line = entries[step], lines[step]
                case Items(items=items), int() if 0 <= step < len(items):
                    node = items[step]
                    line = node.line
                case _:
                    break
            spot = Spot(file=spot.file, path=(*spot.path, step), node=node, line=line)
        return spot


def plain(node: Node) -> object:
    """The node as Python's own lists, dictionaries and scalars."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [plain(item) for item in node.items]
        case Entries():
            return {key: plain(entry) for key, entry in node.entries.items()}
