"""What stands and can be taken into a configuration, and what refreshed it until now. Pure."""

from dataclasses import dataclass

from refresher.config.model import Kind
from refresher.definitions.model import IndexFacts, RelationFacts
from refresher.names import RelationName


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingIndex:
    """An index, and what it is made of."""

    name: str
    facts: IndexFacts
    method: str
    columns: tuple[str, ...] | None
    """The columns it is on, in order; None if it is on expressions."""
    expression: str | None
    """The one expression it is on."""
    include: tuple[str, ...]
    plain: str
    """What its body would be if method, keys and `include` were all there is to say of it."""
    identifies: bool
    """Whether REFRESH CONCURRENTLY can use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoptable:
    """A view of either kind that nobody manages yet."""

    relation: RelationName
    kind: Kind
    facts: RelationFacts
    indexes: tuple[StandingIndex, ...] = ()
    key_index: str | None = None
    """An index that is what `key` would make, if one stands and its columns hold no nulls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of pg_cron that works in this database."""

    number: int
    name: str | None
    schedule: str
    command: str
    username: str
    active: bool

    def __str__(self) -> str:
        return f"job {self.number}" if self.name is None else f"job {self.number} {self.name!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshing:
    """A job, as one of the views it refreshes sees it."""

    job: Job
    others: tuple[RelationName, ...]
    """What it refreshes that nobody would when it is gone: neither managed nor imported."""
    does_more: bool
    """Whether it does other work than refreshing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFunction:
    """A function whose body refreshes materialized views; jobs may call it."""

    schema: str
    name: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What pg_cron does in this database."""

    jobs: tuple[Job, ...] = ()
    functions: tuple[RefreshFunction, ...] = ()
    timezone: str | None = None
    """`cron.timezone`; None where it can't be seen."""
    database: str = ""
    """Where pg_cron keeps them, and `cron.unschedule` has to be called."""
