"""The least that a role needs to run refresher, as statements. Pure.

docs/privileges.md shows these recipes, and the tests carry them out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from refresher.config.model import Fills
from refresher.names import STORE, RelationName, quoted
from refresher.postgres.versions import FIRST_WITH_MAINTAIN

_FIRST_WITH_TRANSACTION_TIMEOUT = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """A view that refresher creates and changes, or, where it only refreshes it, `borrowed`."""

    relation: RelationName
    owner: str | None = None
    """Whom it belongs, or is to belong; None for refresher's own role."""
    borrowed: bool = False
    """Whether another role owns what stands, and the configuration leaves that so."""
    fills: Fills | None = None
    """The columns it fills, of a table that is somebody else's."""
    key: tuple[str, ...] = ()
    """By which it finds their rows."""
    reads: tuple[RelationName, ...] | None = None
    """What its query reads and its owner does not own; None where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a role is to work, and on what."""

    major: int
    database: str
    role: str
    role_stands: bool = False
    views: tuple[Managed, ...] = ()
    schema_owners: Mapping[str, str | None] = field(default_factory=dict)
    """Schemas of views that were looked for; None for one that does not stand."""
    missing_owners: frozenset[str] = frozenset()
    """Owners of views that are no roles yet."""
    superusers: frozenset[str] = frozenset()
    """Those of the views' owners that are superusers."""
    store_owner: str | None = None
    """None where there is no store yet."""
    store_relations: tuple[str, ...] = ()
    """The store's tables and views."""
    throttled: bool = False
    """Whether a throttle is to see how much everybody has to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """Statements that are there for one reason."""

    why: tuple[str, ...]
    """Lines of comment."""
    statements: tuple[str, ...]
    """Without semicolons."""


def recipe(site: Site) -> tuple[Part, ...]:
    """What a superuser, or the owner of each object, runs once."""
    parts = [
        *_role(site),
        _store(site),
        _database(site),
        *_memberships(site),
        *_schemas(site),
        *_sources(site),
        *_filled(site),
        *_borrowed(site),
        *_throttle(site),
        _settings(site),
    ]
    return tuple(part for part in parts if part.statements or part.why)


def script(site: Site) -> str:
    """The recipe as text that psql and people read."""
    head = (
        f"-- The least that a role needs to run refresher in database {quoted(site.database)},\n"
        f"-- PostgreSQL {site.major}. A superuser, or the owner of each object, runs it once.\n"
    )
    return "\n".join((head, *(_written(part) for part in recipe(site))))


def _written(part: Part) -> str:
    comments = (f"-- {line}" for line in part.why)
    statements = (f"{statement};" for statement in part.statements)
    return "\n".join((*comments, *statements)) + "\n"


def _role(site: Site) -> Iterator[Part]:
    role = quoted(site.role)
    if not site.role_stands:
        yield Part(
            ("It logs in as pg_hba.conf asks: give it a password (\\password) or a certificate.",),
            (f"CREATE ROLE {role} LOGIN",),
        )
    if site.missing_owners:
        yield Part(
            ("The configuration gives views to roles that are none yet.",),
            tuple(f"CREATE ROLE {quoted(owner)} NOLOGIN" for owner in sorted(site.missing_owners)),
        )


def _store(site: Site) -> Part:
    why = ("refresher's own tables.",)
    if site.store_owner is None:
        role = quoted(site.role)
        return Part(why, (f"CREATE SCHEMA refresher AUTHORIZATION {role}",))
    if site.store_owner == site.role:
        return Part((), ())
    return Part(why, hand_over(site.store_relations, site.role))


def hand_over(relations: Iterable[str], role: str) -> tuple[str, ...]:
    """Give a store to a role: its schema, and these relations in it."""
    given = (f"ALTER TABLE refresher.{quoted(name)} OWNER TO {quoted(role)}" for name in relations)
    return (f"ALTER SCHEMA refresher OWNER TO {quoted(role)}", *given)


def _database(site: Site) -> Part:
    """Temporary tables hold definitions that are tried, and what differs in a refresh."""
    database, role = quoted(site.database), quoted(site.role)
    owners = _owners(site)
    if _owns(site):
        return Part(
            ("Definitions are tried, and refreshes compared, in temporary tables.",),
            (
                f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}",
                *(f"GRANT TEMPORARY ON DATABASE {database} TO {quoted(name)}" for name in owners),
            ),
        )
    grants = [f"GRANT TEMPORARY ON DATABASE {database} TO {quoted(name)}" for name in owners]
    why = ("Definitions are tried, and refreshes compared, in temporary tables.",) if grants else ()
    return Part(why, (f"GRANT CONNECT ON DATABASE {database} TO {role}", *grants))


def _owns(site: Site) -> bool:
    """Whether some view belongs, or may come to belong, to refresher's own role."""
    return not site.views or any(
        view.owner in {None, site.role} and not view.borrowed for view in site.views
    )


def _owners(site: Site) -> tuple[str, ...]:
    """The other roles that refresher creates and changes views for."""
    names = {view.owner for view in _created(site) if view.owner not in {None, site.role}}
    return tuple(sorted(filter(None, names)))


def _created(site: Site) -> list[Managed]:
    """The views that refresher acts on as their owner."""
    maintains = site.major >= FIRST_WITH_MAINTAIN
    return [view for view in site.views if not (view.borrowed and maintains)]


def _memberships(site: Site) -> Iterator[Part]:
    owners = _owners(site)
    if owners:
        role = quoted(site.role)
        why = ["It acts as the owners of its views, and so must inherit what they may."]
        why += [
            f"{quoted(name)} is a superuser: better give its views another `owner`."
            for name in owners
            if name in site.superusers
        ]
        yield Part(tuple(why), tuple(f"GRANT {quoted(owner)} TO {role}" for owner in owners))


def _schemas(site: Site) -> Iterator[Part]:
    """CREATE for who owns views there."""
    wanted: dict[tuple[str, str], None] = {}
    for view in site.views:
        if not view.borrowed and view.relation.schema != STORE:
            wanted[view.relation.schema, view.owner or site.role] = None
    owners = dict(site.schema_owners)
    made = []
    for schema in dict.fromkeys(schema for schema, _ in wanted):
        if schema in owners and owners[schema] is None:
            made.append(f"CREATE SCHEMA {quoted(schema)} AUTHORIZATION {quoted(site.role)}")
            owners[schema] = site.role
    grants = [
        f"GRANT USAGE, CREATE ON SCHEMA {quoted(schema)} TO {quoted(owner)}"
        for schema, owner in wanted
        if owners.get(schema) != owner
    ]
    if made or grants:
        yield Part(("Where its views are.",), (*made, *grants))


def _sources(site: Site) -> Iterator[Part]:
    """SELECT for who owns the views that read them."""
    reads: dict[str, dict[RelationName, None]] = {}
    unknown: dict[str, list[str]] = {}
    for view in site.views:
        if view.borrowed:
            continue  # what stands was made by somebody who may read
        owner = view.owner or site.role
        if view.reads is None:
            unknown.setdefault(owner, []).append(str(view.relation))
        reads.setdefault(owner, {}).update(dict.fromkeys(view.reads or ()))
    grants = [statement for owner, read in reads.items() for statement in _select(read, owner)]
    if grants:
        yield Part(("What its views read; tables made later need it, too.",), tuple(grants))
    for owner, views in unknown.items():
        yield Part(
            (
                f"What these views read is not known here: {', '.join(views)}",
                "For each schema of their sources:",
                f"  GRANT USAGE ON SCHEMA … TO {quoted(owner)};",
                f"  GRANT SELECT ON ALL TABLES IN SCHEMA … TO {quoted(owner)};",
            ),
            (),
        )


def _select(relations: Iterable[RelationName], owner: str) -> list[str]:
    known = sorted(relations)
    schemas = dict.fromkeys(relation.schema for relation in known)
    usage = [f"GRANT USAGE ON SCHEMA {quoted(name)} TO {quoted(owner)}" for name in schemas]
    tables = [f"GRANT SELECT ON {relation} TO {quoted(owner)}" for relation in known]
    return [*usage, *tables]


def _filled(site: Site) -> Iterator[Part]:
    """What fills columns of tables that are somebody else's."""
    role = quoted(site.role)
    filling = [(view.fills, view.key) for view in site.views if view.fills is not None]
    schemas = dict.fromkeys(fills.table.schema for fills, _ in filling)
    if filling:
        yield Part(
            ("The columns that it fills: it reads them and their key, and writes only them.",),
            (
                *(f"GRANT USAGE ON SCHEMA {quoted(name)} TO {role}" for name in schemas),
                *(_fill(fills, key, role) for fills, key in filling),
            ),
        )


def _fill(fills: Fills, key: tuple[str, ...], role: str) -> str:
    columns = ", ".join(map(quoted, fills.columns))
    read = ", ".join(map(quoted, (*key, *fills.columns)))
    return f"GRANT SELECT ({read}), UPDATE ({columns}) ON {fills.table} TO {role}"


def _borrowed(site: Site) -> Iterator[Part]:
    """What PostgreSQL 17 grants to who refreshes and does nothing else."""
    views = [view for view in site.views if view.borrowed]
    if site.major < FIRST_WITH_MAINTAIN or not views:
        return
    role = quoted(site.role)
    schemas = dict.fromkeys(view.relation.schema for view in views)
    yield Part(
        (
            "These belong to others: they are refreshed, and never changed. To have",
            "`refresher apply` change them, name their `owner` in the configuration.",
        ),
        (
            *(f"GRANT USAGE ON SCHEMA {quoted(name)} TO {role}" for name in schemas),
            *(f"GRANT MAINTAIN, SELECT ON {view.relation} TO {role}" for view in views),
        ),
    )
    reads = [read for view in views for read in view.reads or ()]
    if reads:
        worth = _select(dict.fromkeys(reads), site.role)
        yield Part(
            (
                "Worth granting, too: a refresh then waits for who is reloading a source.",
                *(f"  {statement};" for statement in worth),
            ),
            (),
        )


def _throttle(site: Site) -> Iterator[Part]:
    if site.throttled:
        yield Part(
            ("A throttle counts what others do; nobody reads data by this.",),
            (f"GRANT pg_read_all_stats TO {quoted(site.role)}",),
        )


def _settings(site: Site) -> Part:
    role = quoted(site.role)
    names = ["idle_session_timeout"]
    if site.major >= _FIRST_WITH_TRANSACTION_TIMEOUT:
        names.append("transaction_timeout")
    return Part(
        ("Refreshes have their own limit, timeouts.statement; these would cut them short.",),
        tuple(f"ALTER ROLE {role} SET {name} = 0" for name in names),
    )
