"""What differs, in one snapshot: the rows to write are staged, and nothing is written yet.

The stage is a table of the store, for it outlives the transaction that has the snapshot: the rows
are written afterwards, in batches, by transactions that hold nobody up (`writing.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from refresher.catalog.fillable import why_not_fillable
from refresher.errors import FailureReason, RefreshError
from refresher.names import STORE, RelationName, fitted_name
from refresher.postgres import identifiers
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.refresh import merge

_QUERIES = load_queries("refresher.refresh.columns", "staging.sql")

COMPUTED = RelationName("pg_temp", "refresher_new")
"""What was computed in this transaction: the key and the columns."""
_COMMA = sql.SQL(", ")
_NULL = sql.SQL("NULL")


def stage_name(view: str) -> RelationName:
    """Where the rows are staged that a view is to write."""
    return RelationName(STORE, fitted_name(view, suffix="stage"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """Which columns are filled, of what, from what."""

    table: RelationName
    key: tuple[str, ...]
    columns: tuple[str, ...]
    query: RelationName
    """The view that has the query."""
    stage: RelationName
    types: tuple[str, ...]
    """Each column's type, as PostgreSQL prints it."""
    defaults: tuple[str | None, ...]
    """What each column holds where the query has no row, as PostgreSQL prints it, in the
    column's type; None for null."""
    identifying: bool
    """Whether a unique index has one of the columns: rows are locked more strongly then."""
    located: bool
    """Whether refresher's role may ask where rows are: it may SELECT from all of the table."""


def read_filled(
    connection: Connection,
    *,
    view: str,
    table: RelationName,
    key: tuple[str, ...],
    columns: tuple[str, ...],
    query: RelationName,
) -> Filled:
    """What is to be filled, as its table stands.

    Raises:
        RefreshError: (definition) it can't be, as things stand.
        psycopg.Error: whatever PostgreSQL says.
    """
    problems = why_not_fillable(connection, table, key, columns)
    if problems:
        raise RefreshError("; ".join(problems), reason=FailureReason.DEFINITION)
    wanted = {"schema": table.schema, "name": table.name, "columns": list(columns)}
    found = connection.execute(_QUERIES["read_filled"], wanted).fetchone()
    assert found is not None  # noqa: S101 - an aggregate always returns one row
    return Filled(
        table=table,
        key=key,
        columns=columns,
        query=query,
        stage=stage_name(view),
        types=tuple(found["types"]),
        defaults=tuple(found["defaults"]),
        identifying=found["identifying"],
        located=found["located"],
    )


def compute(connection: Connection, filled: Filled) -> int:
    """Compute what the columns should hold, for `COMPUTED` to have; returns how many rows.

    Raises:
        RefreshError: (not_unique) a key is null, or more than one row of the query has it.
        psycopg.Error: whatever PostgreSQL says.
    """
    pieces = parts(filled)
    _execute(connection, pieces, "shape", "compute", "analyze_new")
    rows = merge.count_with_key(connection, filled.key, pieces)
    merge.refuse_repeated(connection, filled.key, pieces)
    return rows


def stage(connection: Connection, filled: Filled) -> int:
    """Stage the rows of the table that differ from what was computed; returns how many.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    pieces = parts(filled)
    _execute(connection, pieces, "drop_stage", "stage", "number_stage", "analyze_stage")
    counted = connection.execute(_QUERIES["count_stage"].format(**pieces)).fetchone()
    assert counted is not None  # noqa: S101 - an aggregate always returns one row
    rows: int = counted["rows"]
    return rows


def drop_stage(connection: Connection, filled: Filled) -> None:
    """Drop the staged rows: all are written.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    _execute(connection, parts(filled), "drop_stage")


def _execute(connection: Connection, pieces: Mapping[str, sql.Composable], *names: str) -> None:
    for name in names:
        # No parameters: a % in a column's name would be taken for one.
        connection.execute(_QUERIES[name].format(**pieces))


def parts(filled: Filled) -> dict[str, sql.Composable]:
    """What the queries about it are made of.

    `t` is the table, `n` what is new, `w` both; key_1, old_1 and new_1 are their columns.
    """
    old = _numbered("old", filled.columns)
    new = _numbered("new", filled.columns)
    keys = _numbered("key", filled.key)
    place = ("tableoid", "ctid") if filled.located else ()
    return {
        **merge.key_parts(filled.key),
        "table": identifiers.relation(filled.table),
        "query": identifiers.relation(filled.query),
        "stage": identifiers.relation(filled.stage),
        "names": identifiers.columns((*filled.key, *filled.columns)),
        "has_key": _each(sql.SQL("t.{} IS NOT NULL"), filled.key, sql.SQL(" AND ")),
        "wanted": _COMMA.join(
            (
                *_as(sql.SQL("t.{}"), filled.key, filled.key),
                *_values(filled),
            )
        ),
        "order": _each(sql.SQL("w.{}"), place or keys, _COMMA),
        "located_old_and_new": _COMMA.join(
            (
                *_as(sql.SQL("t.{}"), place, place),
                *_as(sql.SQL("t.{}"), filled.key, keys),
                *_as(sql.SQL("t.{}"), filled.columns, old),
                *_typed(filled, new),
            )
        ),
        "staged": identifiers.columns((*keys, *new)),
        "old": identifiers.columns(old),
        "new": identifiers.columns(new),
    }


def _values(filled: Filled) -> list[sql.Composed]:
    """What each column should hold: a null of the query is a value, and no default's place."""
    met = sql.SQL("n.{}").format(sql.Identifier(filled.key[0]))
    value = sql.SQL("CASE WHEN {met} IS NULL THEN {default} ELSE n.{name} END")
    return [
        value.format(
            met=met,
            # PostgreSQL wrote the default.
            default=_NULL if default is None else sql.SQL(default),
            name=sql.Identifier(column),
        )
        for column, default in zip(filled.columns, filled.defaults, strict=True)
    ]


def _typed(filled: Filled, names: tuple[str, ...]) -> list[sql.Composed]:
    """The same in the columns' own types: of a domain, CASE makes the type below.

    Nothing is cut by that, for `n` has the table's types.
    """
    return [
        sql.SQL("CAST({} AS {}) AS {}").format(value, sql.SQL(type_), sql.Identifier(name))
        for value, type_, name in zip(_values(filled), filled.types, names, strict=True)
    ]


def _numbered(stem: str, of: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{stem}_{number}" for number in range(1, len(of) + 1))


def _as(piece: sql.SQL, of: tuple[str, ...], names: tuple[str, ...]) -> list[sql.Composed]:
    return [
        sql.SQL("{} AS {}").format(piece.format(sql.Identifier(column)), sql.Identifier(name))
        for column, name in zip(of, names, strict=True)
    ]


def _each(piece: sql.SQL, of: tuple[str, ...], joiner: sql.SQL) -> sql.Composed:
    return joiner.join(piece.format(sql.Identifier(name)) for name in of)
