"""Reading the catalog into values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from psycopg.rows import DictRow

from refresher.catalog.model import RELATION_KINDS, Source, Target
from refresher.config.model import View
from refresher.graph import Graph
from refresher.names import RelationName, query_name
from refresher.postgres.messages import ask_together
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.catalog", "introspection.sql")


READ_TARGET = _QUERIES["target"]
"""What `target_of` makes a value of; it needs the parameters of `names_of`."""


def read_target(connection: Connection, relation: RelationName) -> Target | None:
    """The relation to refresh with everything a refresh must know, or None if it is missing."""
    (found,) = ask_together(connection, [READ_TARGET], names_of(relation))
    return target_of(relation, found)


def names_of(relation: RelationName) -> dict[str, str]:
    """A relation's names, as parameters; its query's, if it should be a maintained table."""
    query = query_name(relation)
    return {
        "schema": relation.schema,
        "name": relation.name,
        "query_schema": query.schema,
        "query_name": query.name,
    }


def target_of(relation: RelationName, found: Sequence[DictRow]) -> Target | None:
    """The value of what `READ_TARGET` returned: a row for each source, or one without any."""
    if not found:
        return None
    return Target(
        oid=found[0]["oid"],
        relation_kind=found[0]["relation_kind"],
        populated=found[0]["populated"],
        unique_index=found[0]["unique_index"],
        query=query_name(relation) if found[0]["query"] is not None else None,
        columns=dict(found[0]["columns"] or ()),
        unique_keys=tuple(map(frozenset, found[0]["unique_keys"] or ())),
        relation=relation,
        sources=tuple(
            # What it reads, through plain views.
            Source(
                oid=row["source"],
                relation=RelationName(row["schema"], row["name"]),
                lockable=row["lockable"],
                storages=tuple(row["storages"]),
            )
            for row in found
            if row["source"] is not None
        ),
    )


def storage_files(connection: Connection, oids: tuple[int, ...]) -> tuple[int | None, ...]:
    """The files that hold these relations' rows; TRUNCATE and rewrites give new ones."""
    if not oids:
        return ()
    row = connection.execute(_QUERIES["storage_files"], {"oids": list(oids)}).fetchone()
    return tuple(row["files"]) if row else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A managed view's relation as it stands."""

    oid: int
    reader: int
    """The relation that has its query: itself, or the view that is kept for a table."""
    relation_kind: str
    populated: bool
    owner: str


def read_standing(connection: Connection, views: Mapping[str, View]) -> dict[str, Standing]:
    """What stands under the names of these views; a missing one is left out."""
    queries = [query_name(view.relation) for view in views.values()]
    rows = connection.execute(
        _QUERIES["relations"],
        {
            "views": list(views),
            "schemas": [view.relation.schema for view in views.values()],
            "names": [view.relation.name for view in views.values()],
            "query_schemas": [query.schema for query in queries],
            "query_names": [query.name for query in queries],
        },
    )
    return {row.pop("view"): Standing(**row) for row in rows}


def read_graph(
    connection: Connection,
    views: Mapping[str, View],
    *,
    simulated: Mapping[str, int] = MappingProxyType({}),
    unmanaged: Mapping[int, RelationName] = MappingProxyType({}),
) -> Graph:
    """Who reads whom among these views, also through plain views that refresher does not manage.

    Who reads a column that a view fills reads that view; one that reads its own is a circle.
    A relation of another kind than its view's is none of them: nobody refreshes it.

    Args:
        connection: where they are.
        views: the managed views.
        simulated: OIDs of relations that tell what a view would read, instead of what stands.
        unmanaged: what stands in for materialized views that are none of these, by OID.
    """
    standing = {
        name: each
        for name, each in read_standing(connection, views).items()
        if each.relation_kind == RELATION_KINDS[views[name].kind]
    }
    oids = {name: each.oid for name, each in standing.items()}
    readers = {name: each.reader for name, each in standing.items()} | dict(simulated)
    names = {oid: name for found in (oids, simulated) for name, oid in found.items()}
    reads: dict[int, list[_Read]] = {}
    fills = [(view.fills, readers[name]) for name, view in views.items() if name in readers]
    filled = [
        (fill.table, column, filler) for fill, filler in fills if fill for column in fill.columns
    ]
    asked = {
        "readers": list({*readers.values(), *oids.values()}),
        "managed": list(names),
        "filled_schemas": [table.schema for table, _, _ in filled],
        "filled_tables": [table.name for table, _, _ in filled],
        "filled_columns": [column for _, column, _ in filled],
        "fillers": [filler for _, _, filler in filled],
    }
    for row in connection.execute(_QUERIES["reads"], asked):
        relation = RelationName(row["schema"], row["name"])
        materialized = unmanaged.get(row["read"], relation if row["materialized"] else None)
        read = _Read(row["read"], materialized)
        reads.setdefault(row["reader"], []).append(read)
    edges = {name: frozenset[str]() for name in views}
    foreign = {}
    for name, reader in readers.items():
        edges[name], others = _managed_reads(reader, reads, names)
        if others:
            foreign[name] = others
    refreshed = frozenset(name for name, view in views.items() if view.refreshed)
    return Graph(edges, refreshed, foreign)


@dataclass(frozen=True, slots=True)
class _Read:
    """A view that another one reads."""

    oid: int
    materialized: RelationName | None
    """Its name if it has contents of its own."""


def _managed_reads(
    oid: int, reads: Mapping[int, Sequence[_Read]], names: Mapping[int, str]
) -> tuple[frozenset[str], frozenset[str]]:
    """The managed views that one reads, and the materialized ones that are not."""
    managed: set[str] = set()
    unmanaged: set[str] = set()
    seen: set[int] = set()
    waiting = list(reads.get(oid, ()))
    while waiting:
        read = waiting.pop()
        if read.oid in seen:
            continue
        seen.add(read.oid)
        if read.oid in names:
            managed.add(names[read.oid])
        elif read.materialized is not None:
            unmanaged.add(str(read.materialized))
        else:
            waiting.extend(reads.get(read.oid, ()))
    return frozenset(managed), frozenset(unmanaged)
