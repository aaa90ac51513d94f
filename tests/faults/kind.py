"""What a kind of fault is, to the harness."""

import os
import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from refresher.errors import FailureReason
from tests.faults.places import Place
from tests.faults.stage import Stage

P = TypeVar("P", bound=Place)

_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


class Need(Protocol):
    """Something a kind can't do without."""

    def missing(self) -> str | None:
        """What to do about it; None where it is there."""


@dataclass(frozen=True, slots=True)
class Root:
    """To be root."""

    def missing(self) -> str | None:
        return None if os.geteuid() == 0 else "run it as root"


ROOT = Root()


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the system."""

    name: str
    package: str
    """The Debian package that brings it."""

    def missing(self) -> str | None:
        found = shutil.which(self.name, path=_PATH)
        return None if found else f"apt-get install {self.package}"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the system; any of these names."""

    patterns: tuple[str, ...]
    """Below /, as `Path.glob` takes them."""
    package: str

    def missing(self) -> str | None:
        found = any(any(Path("/").glob(pattern)) for pattern in self.patterns)
        return None if found else f"apt-get install {self.package}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[P]):
    """One that is injected on a stage, where everything is judged by the one checker."""

    name: str
    shows: str
    """What it is, in the report."""
    ci: int
    full: int
    """How often it is injected; 0 in CI where `make test` does so anyway."""
    place: Callable[[Path], AbstractContextManager[P]]
    """Makes the place, in a folder of the stage's own. Kinds with one place share a stage."""
    inject: Callable[[Stage[P], int], None]
    """Injects it so many times, and says so each time. An AssertionError tells that it could not be
    injected as it should."""
    needs: Sequence[Need] = ()
    excused: frozenset[FailureReason] = frozenset()
    """For which runs may fail meanwhile besides those that pass."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of a kind that needs no stage."""

    times: int
    violations: Sequence[str]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solo:
    """One that plays, and judges, by itself."""

    name: str
    shows: str
    ci: int
    full: int
    run: Callable[[int, random.Random], Findings]
    needs: Sequence[Need] = ()
