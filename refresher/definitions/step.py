"""The steps of a plan: what each changes, why, and what it blocks. Pure.

Lock modes and what they conflict with: postgresql.org/docs/current/explicit-locking.html
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from refresher.config.model import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """How a view's query changes, in PostgreSQL's own words."""

    view: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    views: tuple[str, ...]
    """What it is about; a managed view by its name, an unmanaged one by its relation."""
    why: tuple[str, ...]
    """Every reason, in words."""

    kind: ClassVar[str]
    """What it does, in a word."""
    _lock: ClassVar[str | None] = None
    _blocks: ClassVar[str] = "nobody"

    @property
    def lock(self) -> str | None:
        """The strongest lock it takes on what readers use."""
        return self._lock

    @property
    def blocks(self) -> str:
        """Whom that keeps waiting, and for how long."""
        return self._blocks


_FOR_AN_INSTANT = "ACCESS EXCLUSIVE"
_WRITING = "ROW EXCLUSIVE"
_BY_ROWS = "who writes to the same rows, while a batch of 500 is written"
_BRIEFLY = "readers, for 0.3 s at most at a time; it gives way and tries again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename(_Step):
    """Give a relation, and what is recorded of its view, another name."""

    kind: ClassVar[str] = "rename"
    _lock: ClassVar[str | None] = _FOR_AN_INSTANT
    _blocks: ClassVar[str] = _BRIEFLY
    before: str
    """The view's former name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(_Step):
    """Create a view that is missing; one with contents is empty yet."""

    kind: ClassVar[str] = "create"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace(_Step):
    """Give a plain view another query; its OID and all that depends on it stay."""

    kind: ClassVar[str] = "replace"
    of: Kind
    diffs: tuple[Diff, ...]

    @property
    def lock(self) -> str | None:
        """The strongest lock it takes: nobody reads the query of columns."""
        return None if self.of is Kind.COLUMNS else _FOR_AN_INSTANT

    @property
    def blocks(self) -> str:
        """Whom that keeps waiting, and for how long."""
        return "nobody" if self.of is Kind.COLUMNS else _BRIEFLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap(_Step):
    """Build views beside those that stand, and exchange them in one short transaction."""

    kind: ClassVar[str] = "swap"
    _lock: ClassVar[str | None] = _FOR_AN_INSTANT
    _blocks: ClassVar[str] = _BRIEFLY
    beside: tuple[str, ...]
    """Built beside; each after those it reads."""
    repointed: tuple[str, ...]
    """Plain views that stay, and are made to read what comes; each after those it reads."""
    dropped: tuple[str, ...] = ()
    """What would not work with what comes and may be dropped."""
    diffs: tuple[Diff, ...] = ()
    rows: int | None = None
    """Rows to compute, as the planner knows what stands; None if it does not."""
    bytes: int = 0
    """What stands and is built anew takes, with its indexes: as much is needed once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widen(_Step):
    """Give columns of a table types that hold more, without writing a row, and it another query."""

    kind: ClassVar[str] = "widen"
    _lock: ClassVar[str | None] = _FOR_AN_INSTANT
    _blocks: ClassVar[str] = _BRIEFLY
    columns: tuple[tuple[str, str], ...]
    """Names and their new types."""
    diffs: tuple[Diff, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Populate(_Step):
    """Fill a view for the first time."""

    kind: ClassVar[str] = "populate"
    of: Kind

    @property
    def lock(self) -> str | None:
        """The strongest lock it takes: only PostgreSQL's own REFRESH keeps readers out."""
        return _FOR_AN_INSTANT if self.of is Kind.MATERIALIZED_VIEW else _WRITING

    @property
    def blocks(self) -> str:
        """Whom that keeps waiting, and for how long."""
        return _BY_ROWS if self.of is Kind.COLUMNS else "nobody: there is nothing to read yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIndex(_Step):
    """Create an index while readers go on."""

    kind: ClassVar[str] = "index"
    name: str
    concurrently: bool = True
    """Whether there are readers who must not wait."""
    replaces: bool = False
    """Whether another one has that name, which is dropped when this one stands."""
    bytes: int = 0
    """The size of what is indexed."""

    @property
    def lock(self) -> str | None:
        """The strongest lock it takes: to take another index's place, for an instant."""
        if self.replaces:
            return _FOR_AN_INSTANT
        return "SHARE UPDATE EXCLUSIVE" if self.concurrently else "SHARE"

    @property
    def blocks(self) -> str:
        """Whom that keeps waiting, and for how long."""
        building = "refreshes of this view, while it is built"
        return f"{building}; then {_BRIEFLY}" if self.replaces else building


@dataclass(frozen=True, slots=True, kw_only=True)
class DropIndex(_Step):
    """Drop an index that is not configured."""

    kind: ClassVar[str] = "drop index"
    _lock: ClassVar[str | None] = "SHARE UPDATE EXCLUSIVE"
    _blocks: ClassVar[str] = "refreshes of this view, for an instant"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alter(_Step):
    """Set owner, grants, comment or options."""

    kind: ClassVar[str] = "alter"
    _lock: ClassVar[str | None] = _FOR_AN_INSTANT
    _blocks: ClassVar[str] = _BRIEFLY
    aspects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh(_Step):
    """Refresh a view whose contents are older than the definition of what it reads."""

    kind: ClassVar[str] = "refresh"
    of: Kind
    rows: int | None = None
    bytes: int = 0

    @property
    def lock(self) -> str | None:
        """The strongest lock it takes."""
        return "EXCLUSIVE" if self.of is Kind.MATERIALIZED_VIEW else _WRITING

    @property
    def blocks(self) -> str:
        """Whom that keeps waiting, and for how long."""
        match self.of:
            case Kind.COLUMNS:
                return _BY_ROWS
            case Kind.MATERIALIZED_VIEW:
                return "nobody, if it has a unique key"
            case _:
                return "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(_Step):
    """Drop a view that is no longer configured."""

    kind: ClassVar[str] = "drop"
    _lock: ClassVar[str | None] = _FOR_AN_INSTANT
    _blocks: ClassVar[str] = _BRIEFLY
    relation_kind: str
    bytes: int = 0


Step: TypeAlias = (
    Rename
    | Create
    | Replace
    | Widen
    | Swap
    | Populate
    | CreateIndex
    | DropIndex
    | Alter
    | Refresh
    | Drop
)
