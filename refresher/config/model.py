"""The configuration as the rest of refresher sees it: complete, resolved, frozen.

`sections.py` describes what a user may write; `load.py` turns that into these records, with every
default filled in, so that nobody after it asks "was this set?". It is long because a configuration
has many parts, each of them small.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeAlias, assert_never
from zoneinfo import ZoneInfo

from refresher.names import RelationName, quoted
from refresher.runs import Strategy
from refresher.windows import Windows


class Kind(StrEnum):
    """What a view is in PostgreSQL."""

    VIEW = "view"
    MATERIALIZED_VIEW = "materialized_view"
    TABLE = "table"
    """A maintained table: refresher owns its rows, and writes those that differ."""
    COLUMNS = "columns"
    """Columns of a table that is somebody else's: refresher fills them, row by row."""

    @property
    def has_contents(self) -> bool:
        """Whether it is a relation that stores rows."""
        return self in {Kind.MATERIALIZED_VIEW, Kind.TABLE}

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """How a view of this kind can be refreshed."""
        match self:
            case Kind.VIEW:
                return ()
            case Kind.MATERIALIZED_VIEW:
                return (Strategy.FULL, Strategy.CONCURRENT)
            case Kind.TABLE:
                return (Strategy.MERGE,)
            case Kind.COLUMNS:
                return (Strategy.COLUMNS,)
            case other:
                assert_never(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Due every `every`, counted from the epoch plus a phase derived from the view's name."""

    every: timedelta
    jitter: timedelta = timedelta()
    only: Windows | None = None
    """When refreshes may start by schedule; None for always. The same below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Due as Debian's cron would run it in `timezone`: once per transition of the clock."""

    cron: str
    timezone: ZoneInfo
    jitter: timedelta = timedelta()
    only: Windows | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterUpstream:
    """Due when an upstream has newer contents than this view has seen."""

    jitter: timedelta = timedelta()
    only: Windows | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLag:
    """Due in time for the staleness, back to the base tables, to stay below `target`.

    What it reads is refreshed as often as that needs, whatever its own schedule, unless that is
    manual.
    """

    target: timedelta
    jitter: timedelta = timedelta()
    only: Windows | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manual:
    """Never due by itself."""


Schedule: TypeAlias = Every | Cron | AfterUpstream | TargetLag | Manual

StrategyChoice: TypeAlias = Strategy | Literal["auto"]


class Secret:
    """A string that shows itself only when asked to."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself: for libpq, never for a message."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


EMBEDDED = "embedded"
"""The conninfo that asks for a private PostgreSQL instead of naming a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """How much a database may have to do for scheduled refreshes to begin; None for any amount."""

    replication_lag: timedelta | None = None
    active_connections: int | None = None
    oldest_transaction: timedelta | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """What has a limit, as the configuration calls it."""
        limits = {
            "replication_lag": self.replication_lag,
            "active_connections": self.active_connections,
            "oldest_transaction": self.oldest_transaction,
        }
        return tuple(key for key, limit in limits.items() if limit is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database refresher works in."""

    alias: str
    conninfo: Secret
    max_parallel: int = 4
    session: Mapping[str, str] = field(default_factory=dict)
    throttle: Throttle = field(default_factory=Throttle)


PRIVILEGES = (
    *("select", "insert", "update", "delete", "truncate", "references", "trigger", "maintain"),
)
"""What can be granted on a relation; `maintain` came with PostgreSQL 17."""
GRANT_OPTION = " with grant option"
"""What follows a privilege that its holder may grant to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index a view with contents must have: of `columns`, an `expression` or a `definition`."""

    columns: tuple[str, ...] = ()
    expression: str | None = None
    definition: str | None = None
    """All that follows `ON relation`, from USING on; `method`, `where` and `include` are in it."""
    unique: bool = False
    method: str = "btree"
    where: str | None = None
    include: tuple[str, ...] = ()
    name: str | None = None
    statistics: Mapping[int, int] = field(default_factory=dict)
    """Statistics targets of columns that are expressions, by their numbers, the first one 1."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column a view must have."""

    name: str
    type: str | None = None
    """As the user names it; None where any will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Rules on contents and columns: before commit for what is refreshed, else on a schedule."""

    min_rows: int | None = None
    max_shrink: float | None = None
    """The fraction of rows, 0 to 1, that one refresh may lose."""
    columns: tuple[Column, ...] = ()
    exact_columns: bool = False
    """Whether there may be no columns but `columns`, and these in their order."""
    not_null: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    """Keys: no two rows may agree in all columns of one, unless one of them is null."""
    assertion: str | None = None
    """SQL returning true; `assert` in the config."""
    every: timedelta = timedelta(minutes=15)
    """How often those of a plain view are judged."""

    @property
    def names(self) -> tuple[str, ...]:
        """The checks there are, by their keys in the configuration, in the order of judging."""
        given = {
            "columns": self.columns,
            "min_rows": self.min_rows is not None,
            "max_shrink": self.max_shrink is not None,
            "not_null": self.not_null,
            "unique": self.unique,
            "assert": self.assertion is not None,
        }
        return tuple(name for name, there in given.items() if there)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """How often a refresh looks again at what it wrote, and at how many rows."""

    every: timedelta = timedelta(hours=24)
    sample: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fills:
    """What a view of the kind `columns` writes to."""

    table: RelationName
    columns: tuple[str, ...]
    max_rows_per_second: int | None = None

    def described(self, key: tuple[str, ...]) -> str:
        """What is written, and by which key, as the comment on the query has it."""
        columns, by = (", ".join(map(quoted, names)) for names in (self.columns, key))
        return f"fills {self.table} ({columns}) by ({by})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a refresh may wait for a lock, and a statement of it may run."""

    lock: timedelta = timedelta(seconds=5)
    statement: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How a failed due instant is tried again; `attempts` counts the first one too."""

    attempts: int = 3
    backoff: timedelta = timedelta(seconds=2)
    max_backoff: timedelta = timedelta(minutes=1)


class Default(StrEnum):
    """A value the configuration leaves to be derived from the graph."""

    DERIVED = "derived"


MaxStaleness: TypeAlias = timedelta | Literal[Default.DERIVED] | None
"""`None` is the explicit `none`; DERIVED is worked out by `freshness.py` from the schedules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A managed view, by its configured name."""

    name: str
    database: str
    relation: RelationName
    """What it is in PostgreSQL; of the kind `columns`, the plain view that keeps its query."""
    kind: Kind
    query: str
    query_path: Path
    key: tuple[str, ...] = ()
    fills: Fills | None = None
    """Of the kind `columns`, and of no other."""
    indexes: tuple[Index, ...] = ()
    grants: Mapping[str, tuple[str, ...]] | None = None
    """Role → privileges, some ` with grant option`; complete when given, untouched when None."""
    owner: str | None = None
    comment: str | None = None
    options: Mapping[str, str] | None = None
    """Name → value as `pg_class.reloptions` has it; complete when given, untouched when None."""
    renamed_from: str | None = None
    """The name the view had in the configuration before."""
    tags: tuple[str, ...] = ()
    group: str | None = None
    """Views of one group are refreshed in one transaction, as of one moment."""
    strategy: StrategyChoice = "auto"
    allow_blocking: bool = False
    """Whether `auto` may choose a refresh that blocks readers when it is the cheaper one."""
    schedule: Schedule = field(default_factory=Manual)
    max_staleness: MaxStaleness = Default.DERIVED
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: Retry = field(default_factory=Retry)
    vacuum: bool = True
    """Whether it is vacuumed and analysed by policy after its refreshes."""
    checks: Checks = field(default_factory=Checks)
    audit: Audit | None = None

    @property
    def refreshed(self) -> bool:
        """Whether there is anything to refresh: not for a plain view."""
        return self.kind is not Kind.VIEW

    @property
    def place(self) -> RelationName:
        """Where readers find it: its relation, or the table whose columns it fills."""
        return self.relation if self.fills is None else self.fills.table

    @property
    def cadence(self) -> str:
        """What its phase and jitter are derived from: the same for all of a group."""
        return self.group or self.name

    @property
    def target_lag(self) -> timedelta | None:
        """The staleness its schedule aims to stay below; None where it aims at none."""
        return self.schedule.target if isinstance(self.schedule, TargetLag) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where `refresher run` serves metrics."""

    host: str = "127.0.0.1"
    port: int = 9187
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole, valid configuration."""

    path: Path
    files: tuple[Path, ...]
    """Every file it was read from, SQL included: what a reload watches."""
    databases: Mapping[str, Database]
    views: Mapping[str, View]
    server: Server = field(default_factory=Server)
    prune: bool = False
    """Whether an apply drops views that were applied from here once and are no longer in it."""

    def views_of(self, database: str) -> dict[str, View]:
        """The views that live in one database, by name."""
        return {name: view for name, view in self.views.items() if view.database == database}
