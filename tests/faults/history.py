"""What was seen while faults were injected: plain records, from which the checker judges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from refresher.config.model import Schedule
from refresher.errors import FailureReason
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
    upstreams_seen: Mapping[str, datetime | None]
    lineage: str | None
    """Of the server that it happened on."""


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
    lineage: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a view shows of one source, and how stale it is said to be: read in one statement."""

    at: datetime
    """When the statement came to the server, from which the reported staleness counts."""
    view: str
    source: str
    stamped_at: datetime | None
    """The oldest stamp among the rows that show; None where there is no row."""
    staleness: timedelta | None
    """None where refresher says that it is unknown."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A generation of source rows. It was committed between two moments of the server's clock."""

    generation: int
    stamped_at: datetime
    """Before COMMIT was sent; its rows bear this."""
    known_at: datetime
    """After it was answered."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A daemon that was killed."""

    pid: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Exit:
    """A daemon that was asked to end."""

    pid: int
    at: datetime
    code: int | None
    """None if it had to be killed."""
    seconds: float
    allowed: float
    """How long it may take: its drain time, and a little."""
    last_words: str | None = None
    """The end of its log, if it had ended by itself when it was asked to."""


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault."""

    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Measurement:
    """How long something took that may not take long."""

    kind: str
    what: str
    at: datetime
    seconds: float | None
    """None if it never came."""
    limit: float


@dataclass(frozen=True, slots=True)
class Foreign:
    """Contents that somebody else's refresh made."""

    view: str
    made_by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """The time that belonged to one kind of fault, until the stage had recovered."""

    kind: str
    times: int
    """How often it was to be injected."""
    began_at: datetime
    ended_at: datetime
    excused: frozenset[FailureReason] = frozenset()
    """For which runs may fail besides those that pass."""
    trouble: str | None = None
    """Why it could not be injected as it should."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A backend that held a fence."""

    at: datetime
    view: str
    pid: int
    """Of the daemon it works for."""
    since: datetime
    """When the run was recorded that it holds it for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A view under test."""

    schedule: Schedule
    source: str
    """The table whose generations it shows."""
    rows: int
    """How many it has, always."""
    upstream: str | None = None
    group: str | None = None


@dataclass(slots=True)
class Record:
    """What those who inject faults write down as they go; appended to by several threads."""

    kills: list[Kill] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    injections: list[Injection] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    chapters: list[Chapter] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Everything that was seen on one stage."""

    subjects: Mapping[str, Subject]
    plain_views: frozenset[str] = frozenset()
    """What readers read besides."""
    began_as_of: Mapping[str, datetime]
    """Each view's as_of before the first daemon was started."""
    began_lineage: str | None
    ended_at: datetime
    """When the last daemon was asked to end."""
    successes: tuple[Success, ...]
    runs: tuple[Run, ...]
    """All that were recorded since the first daemon was started, as they stood in the end."""
    misfires: Mapping[str, int]
    """How many due instants were counted as coalesced meanwhile."""
    samples: tuple[Sample, ...]
    readings: tuple[Reading, ...] = ()
    holders: tuple[Holder, ...]
    commits: Mapping[str, tuple[Commit, ...]]
    """By source table, in order."""
    kills: tuple[Kill, ...]
    exits: tuple[Exit, ...] = ()
    injections: tuple[Injection, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    foreign: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """By view, the `made_by` of contents that were somebody else's."""
    chapters: tuple[Chapter, ...] = ()


def pid_of(worker: str) -> int:
    """The process a worker's name tells of: `host/pid/token`."""
    return int(worker.split("/")[1])


def seconds(duration: timedelta) -> str:
    """For messages."""
    return f"{duration.total_seconds():.2f} s"
