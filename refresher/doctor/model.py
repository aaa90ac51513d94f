"""What is known of a database, and what is said about it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from refresher.names import RelationName

BESIDES_WORKERS = 6
"""Connections of a daemon to a database that refresh nothing, at most: those of its loop, observer,
watch and checks, one that watches over what is vacuumed, and one that vacuums."""


class Severity(StrEnum):
    """How grave a finding is, gravest first."""

    ERROR = "error"
    """Something does not work."""
    WARNING = "warning"
    """Everything works, but contents, secrets or somebody else's work are at risk."""
    NOTE = "note"
    """All is well; this is worth knowing, or worth changing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found, with its cure."""

    severity: Severity
    topic: str
    """A word for programs, the same in every release: what was looked at."""
    message: str
    """What is so."""
    why: str
    """What follows from it."""
    cure: str | None = None
    """What to do where, or beside what, no SQL does it."""
    sql: tuple[str, ...] = ()
    """Statements that cure it, without semicolons."""
    views: tuple[str, ...] = ()
    """The configured names of the views that it is about."""

    def as_json(self) -> dict[str, Any]:
        """The finding as `refresher doctor --json` prints it."""
        return {
            "severity": self.severity.value,
            "topic": self.topic,
            "views": list(self.views),
            "message": self.message,
            "why": self.why,
            "cure": self.cure,
            "sql": [f"{statement};" for statement in self.sql],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Whom we reached, and as whom."""

    version: str
    """Such as `18.4`."""
    major: int
    database: str
    role: str
    superuser: bool
    pooled: bool
    """Whether a pooler in transaction mode is in between."""
    replica: bool
    """Whether it is a read-only replica."""
    lineage_teller: str
    """The role that asks the server which one it is: the owner of the store's function."""
    lineage_hidden: tuple[str, ...]
    """Functions of PostgreSQL's that tell it, and that this role may not call."""
    sees_everybody: bool
    """Whether we see what other roles' sessions do, and how far standbys lag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A server setting as our connections have it."""

    name: str
    value: str
    """As PostgreSQL shows it, with its unit."""
    number: int | None
    """In the setting's base unit: milliseconds, kilobytes, things; None for a word."""
    source: str
    """Where it comes from, as `pg_settings.source` says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of the server is in use. Limits are None where there is none."""

    connections: int
    """Of all roles but ours, to all databases."""
    role_limit: int | None
    database_limit: int | None
    waiting_commits: int
    """COMMITs that have waited for a synchronous standby for 10 s or more."""
    synchronous_standbys: str
    """Those that they wait for, as `synchronous_standby_names` has them."""
    temporary_bytes: int
    """Written to temporary files in this database since `counted_since`."""
    counted_since: datetime
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The schema `refresher` as it stands."""

    present: bool
    owner: str | None
    owned: bool
    """Whether we act as its owner."""
    owner_is_superuser: bool
    """Whether its owner is a superuser."""
    may_create: bool
    """Whether we could make the schema."""
    vacant: bool
    """Whether there is nothing in it yet."""
    emptied: bool
    """Whether the table of its version is there without one, as after a schema-only restore."""
    version: int | None
    """None where we may not read it."""
    relations: tuple[str, ...]
    """Its tables and views."""
    closed: tuple[str, ...]
    """Those of its tables that we may not read and write."""
    newest: int
    """The version that this refresher knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands under the name of a managed view, and what we may do with it."""

    view: str
    relation: RelationName
    oid: int | None
    kind: str | None
    """`pg_class.relkind`; None where nothing stands."""
    populated: bool
    owner: str | None
    """Whom it belongs; where nothing stands, whom the configuration gives it."""
    owned: bool
    """Whether we act as its owner."""
    refreshable: bool
    """Whether we may refresh it: as its owner, or with PostgreSQL 17's MAINTAIN."""
    readable: bool
    reachable: bool
    """Whether we may use its schema, if there is one."""
    owner_reaches: bool
    """Whether its owner, if known, may use that schema."""
    owner_keeps_temporary: bool
    """Whether its owner, if known, has TEMPORARY on the database."""
    readers: tuple[str, ...]
    """Who of `public`, `anon` and `authenticated` was granted SELECT on it."""
    index_bytes: int
    """The size of its largest index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A relation that a managed view reads, also through plain views, and as whom."""

    view: str
    relation: RelationName
    kind: str
    """`pg_class.relkind`."""
    reader: str
    """The role whose privileges count: the view's owner, or that of a plain view in between."""
    readable: bool
    """By that role."""
    filtered: bool
    """Whether row-level security may hide rows from that role."""
    forced: bool
    """Whether the table's own owner is subject to it, too."""
    row_security: bool
    """Whether the table has row-level security at all."""
    lockable: bool
    """Whether we may lock it, where that is possible."""
    triggerable: bool
    """Whether we may create triggers on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden:
    """Why we could not create a view that is missing."""

    view: str
    problem: str
    """What PostgreSQL said."""
    schema: str | None
    """The schema that we may not use, where that is it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything known of a database. What could not be read is None, and `unread` says why."""

    server: Server
    settings: Mapping[str, Setting] = field(default_factory=dict)
    usage: Usage | None = None
    watches_clients: bool | None = None
    """Whether the server notices a client that vanished while it works for it."""
    clock_offset: float | None = None
    """The database's clock less ours, in seconds."""
    store: Store | None = None
    standing: tuple[Standing, ...] | None = None
    reads: tuple[Read, ...] | None = None
    forbidden: tuple[Forbidden, ...] = ()
    """Missing views of which nobody can tell what they would read."""
    lacking: tuple[str, ...] | None = None
    """The statements that `refresher apply` would ask for before it begins."""
    closed: frozenset[str] = frozenset()
    """Schemas of views in which we may not create relations."""
    unfillable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Views that fill columns and can't, and why."""
    unmanaged: tuple[RelationName, ...] | None = None
    """Materialized views that the configuration does not name."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """What could not be looked at, and what PostgreSQL said."""

    @property
    def timeouts(self) -> tuple[Setting, ...]:
        """The timeouts that statements of ours have where refresher sets none itself."""
        return tuple(
            setting for name, setting in self.settings.items() if name.endswith("_timeout")
        )
