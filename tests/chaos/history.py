"""What was seen while daemons were killed: plain records, from which the checker judges."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from refresher.config.model import Schedule
from refresher.runs import Run


@dataclass(frozen=True, slots=True)
class Snapshot:
    """PostgreSQL's `pg_snapshot`: which transactions a refresh could see."""

    xmin: int
    xmax: int
    in_progress: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `xmin:xmax:xip,xip`."""
        xmin, xmax, in_progress = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(map(int, filter(None, in_progress.split(",")))))

    def sees(self, transaction: int) -> bool:
        """Whether what this transaction committed is seen."""
        if transaction < self.xmin:
            return True
        return transaction < self.xmax and transaction not in self.in_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """A new state row, as a trigger in the refresh's own transaction wrote it down."""

    view: str
    run: int
    due_at: datetime
    as_of: datetime
    data_as_of: datetime | None
    snapshot: Snapshot
    transaction: int
    taken_at: datetime
    """When it took its fence."""
    upstreams_seen: Mapping[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One view's state and contents, read in one snapshot."""

    at: datetime
    view: str
    as_of: datetime
    data_as_of: datetime | None
    refreshed_by: int
    """The xmax of the state row's watermark."""
    rows: int
    made_by: frozenset[int]
    """The xmax of the snapshots that made the rows."""
    generations: frozenset[int]
    """Of the source rows that the contents show."""
    read_from: frozenset[int]
    """The `made_by` of the upstream's rows that the contents show."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A generation of source rows, and a moment at which its commit was already answered."""

    generation: int
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Kill:
    """A daemon that was killed."""

    pid: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """A backend that held a fence."""

    at: datetime
    view: str
    pid: int
    """Of the daemon it works for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A view under test."""

    schedule: Schedule
    source: str
    """The table whose generations it shows."""
    rows: int
    """How many it has, always."""
    upstream: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Everything that was seen of one round."""

    subjects: Mapping[str, Subject]
    began_as_of: Mapping[str, datetime]
    """Each view's as_of before the first daemon was started."""
    ended_at: datetime
    """When the last daemon was asked to end."""
    successes: tuple[Success, ...]
    runs: tuple[Run, ...]
    """All that were recorded since the first daemon was started, as they stood in the end."""
    misfires: Mapping[str, int]
    """How many due instants were counted as coalesced meanwhile."""
    samples: tuple[Sample, ...]
    holders: tuple[Holder, ...]
    commits: Mapping[str, tuple[Commit, ...]]
    """By source table, in order."""
    kills: tuple[Kill, ...]


def pid_of(worker: str) -> int:
    """The process a worker's name tells of: `host/pid/token`."""
    return int(worker.split("/")[1])


def seconds(duration: timedelta) -> str:
    """For messages."""
    return f"{duration.total_seconds():.2f} s"
