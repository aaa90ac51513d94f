"""Whether columns of somebody else's table can be filled as it stands."""

from collections.abc import Iterator, Sequence

from psycopg.rows import DictRow

from refresher.names import RelationName, quoted
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.catalog", "fillable.sql")


def why_not_fillable(
    connection: Connection, table: RelationName, key: Sequence[str], columns: Sequence[str]
) -> list[str]:
    """What forbids to fill columns of a table by a key, each with what to do; none if they can be.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    wanted = {
        "schema": table.schema,
        "name": table.name,
        "key": list(key),
        "columns": list(columns),
    }
    found = connection.execute(_QUERIES["fillable"], wanted).fetchone()
    if found is None:
        return [f"there is no table {table}; create it, or correct `table`"]
    if found["kind"] not in {"r", "p"}:
        return [f"{table} is no table; correct `table`"]
    return list(_problems(table, key, columns, found, connection.info.user))


def _problems(
    table: RelationName, key: Sequence[str], columns: Sequence[str], found: DictRow, role: str
) -> Iterator[str]:
    if found["missing"]:
        yield f"{table} has no {_named(found['missing'])}; add it, or correct the configuration"
        return
    if not found["told_apart"]:
        yield (
            f"{table} has no unique index on {_named(key)} (valid, immediate, without WHERE), to"
            f" tell its rows apart: CREATE UNIQUE INDEX CONCURRENTLY ON {table} ({_listed(key)})"
        )
    if found["generated"]:
        yield f"{table} generates {_named(found['generated'])} itself; fill another column"
    if found["partitioning"]:
        yield (
            f"{table} is partitioned by {_named(found['partitioning'])}, so that rows would move"
            " between partitions; fill another column"
        )
    if found["inherited"]:
        yield f"other tables inherit from {table}, and no unique index tells their rows apart"
    if found["forbidden"]:
        yield (
            f"{quoted(role)} may not read and write {_named(found['forbidden'])} of {table}:"
            f" GRANT SELECT ({_listed([*key, *columns])}), UPDATE ({_listed(columns)})"
            f" ON {table} TO {quoted(role)}"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))


def _named(names: Sequence[str]) -> str:
    return f"column {quoted(names[0])}" if len(names) == 1 else f"columns {_listed(names)}"
