"""What was seen while definitions changed: plain records, from which the checker judges."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """What was going on while a statement was answered."""

    BASELINE = "baseline"
    """Nothing ever: how the machine is by itself."""
    APPLY = "apply"
    BETWEEN = "between"
    """The catalog is looked at, the next change is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One statement of a reader."""

    step: int
    """The change it was begun in; 0 before the first one."""
    phase: Phase
    relations: tuple[str, ...]
    statement: str
    seconds: float
    rows: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One `apply`."""

    code: int
    seconds: float
    text: str
    """What it wrote."""
    worked: float = 0.0
    """How many of the seconds it was connected to the database."""

    @property
    def killed(self) -> bool:
        """Whether it was killed, and not done before."""
        return self.code < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of the definitions, and what came of it."""

    number: int
    edit: str
    kinds: tuple[str, ...]
    breaking: bool
    """Whether it drops or retypes a column."""
    readable: frozenset[str]
    """The relations that could be read all the while."""
    planned: int
    """The exit code of `plan` before."""
    applies: tuple[Ended, ...]
    """All but the last one were to be killed."""
    left: int
    """The exit code of `plan` after."""
    left_changes: bool
    """What `plan` after says of changes."""
    written: bool = False
    """Whether somebody wrote the source meanwhile."""
    differences: tuple[str, ...] = ()
    """In what the catalog and the contents are not those of the definitions."""
    lost: tuple[str, ...] = ()
    """What was changed that did not have to be, or was left over."""
    broken: tuple[str, ...] = ()
    """What of a stranger's does not work any more."""

    @property
    def well(self) -> bool:
        """Whether the next change has something to stand on."""
        return self.applies[-1].code == self.left == 0 and not (self.differences or self.broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Everything that was seen of one round."""

    wanted_changes: int
    wanted_kills: int
    steps: tuple[Step, ...]
    reads: tuple[Read, ...]
    writes: tuple[Read, ...]
    """Those of the source's writer."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What of the catalog may not change without need."""

    everything: frozenset[str]
    """What there is besides the managed views."""
    oids: Mapping[str, int]
    """Of the managed plain views, and of the stranger's."""
    indexes: Mapping[tuple[str, str], str]
    """The names of indexes, by view and body."""
    facts: Mapping[str, Any]
    """What is known of what is a stranger's."""
