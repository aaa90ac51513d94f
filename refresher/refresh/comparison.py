"""A view's contents beside what its query returns, row by row, in one transaction's snapshot.

Whoever compares looks at `pg_temp.refresher_difference`: in full it is made by `merge.py`, for a
sample here, by keys of the contents that are looked up in the query one by one.

What a sample can't see is a row that the contents lack: only the whole query would tell its key.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

from psycopg import sql

from refresher.catalog.model import Target
from refresher.config.model import View
from refresher.errors import FailureReason, RefreshError
from refresher.names import RelationName
from refresher.postgres import identifiers
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, major, set_local
from refresher.refresh import merge

_QUERIES = load_queries("refresher.refresh", "verify.sql")

_QUERY = RelationName("pg_temp", "refresher_query")
_KEYS = RelationName("pg_temp", "refresher_key")

_COMMA = sql.SQL(", ")
_AND = sql.SQL(" AND ")
_SINGLED_OUT = sql.SQL("v.{name} = k.{name}")
_SAMPLED = sql.SQL("t.{name} = k.{name}")
_KEY_TEXT = sql.SQL("CASE WHEN d.new IS NULL THEN t.{name} ELSE n.{name} END::text")
_ORDER = sql.SQL("coalesce(n.{name}, t.{name})")
_OLD_TEXT = sql.SQL("t.{name}::text")
_NEW_TEXT = sql.SQL("n.{name}::text")
# Without the casts it would be a comparison column by column.
_DIFFERING = sql.SQL("ROW(t.{name})::record OPERATOR(pg_catalog.*<>) ROW(n.{name})::record")


class Difference(StrEnum):
    """In which way a row differs."""

    CHANGED = "changed"
    """The view and its query both have its key, but not the same image."""
    MISSING = "missing"
    """The query returns it, and the view lacks it."""
    EXTRA = "extra"
    """The view has it, and the query does not return it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingRow:
    """A row that differs. Values are text; None is a null."""

    difference: Difference
    key: Mapping[str, str | None]
    columns: Mapping[str, tuple[str | None, str | None]]
    """Of a changed row: what differs, in the view and in the query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of it."""

    rows: int
    """How many were compared."""
    counts: Mapping[Difference, int]
    examples: tuple[DifferingRow, ...]
    """The first of those that differ, in the order of their keys."""

    @property
    def differing(self) -> int:
        """How many rows differ."""
        return sum(self.counts.values())


def key_of(view: View, target: Target) -> tuple[str, ...]:
    """The columns by which rows are told apart: the view's key, or those of a unique index.

    Raises:
        RefreshError: (definition) there is none.
    """
    if view.key and frozenset(view.key) in target.unique_keys:
        return view.key
    for unique in target.unique_keys:
        if unique:
            return tuple(name for name in target.columns if name in unique)
    message = (
        f"{target.relation} has no unique index on plain columns to tell its rows apart by: give"
        f" {view.name!r} a `key`, and run `refresher apply`"
    )
    raise RefreshError(message, reason=FailureReason.DEFINITION)


@contextmanager
def with_query(connection: Connection, target: Target) -> Iterator[Target]:
    """The same target with a view to ask for its query, which a materialized view has in itself.

    It is run with the rights of the materialized view's owner, as a refresh would, where we may
    give a view away.
    """
    if target.query is not None:
        yield target
        return
    _make_query(connection, target)
    yield replace(target, query=_QUERY)
    connection.execute(sql.SQL("DROP VIEW {}").format(identifiers.relation(_QUERY)))


def compare(
    connection: Connection, target: Target, key: tuple[str, ...], *, sample: int | None, limit: int
) -> Comparison:
    """Compare all rows, or as many as `sample` says, and show at most `limit` that differ.

    Raises:
        RefreshError: (not_unique) a key is null, or more than one row has it.
        psycopg.Error: whatever PostgreSQL says.
    """
    if sample is None:
        merge.compare(connection, target, key)
    else:
        _compare_sample(connection, target, key, sample)
    compared = target.relation if sample is None else _KEYS
    counted = connection.execute(
        _QUERIES["count_rows"].format(relation=identifiers.relation(compared))
    ).fetchone()
    found = connection.execute(_QUERIES["count_differences"]).fetchone()
    assert counted is not None  # noqa: S101 - the query always returns one row
    assert found is not None  # noqa: S101 - the same
    if sample is not None:
        connection.execute(_QUERIES["forget_keys"])
    counts = {difference: int(found[difference]) for difference in Difference}
    return Comparison(
        rows=counted["rows"] + counts[Difference.MISSING],
        counts=counts,
        examples=_examples(connection, target, key, limit) if any(counts.values()) else (),
    )


def _compare_sample(
    connection: Connection, target: Target, key: tuple[str, ...], sample: int
) -> None:
    parts = {
        **merge.parts(target, key),
        "sample": sql.Literal(sample),
        "singled_out": _each(_SINGLED_OUT, key, _AND),
        "sampled": _each(_SAMPLED, key, _AND),
    }
    # Each key costs little, but all of them together look like work that is worth compiling for.
    connection.execute(set_local("jit", "off"))
    for name in ("sample_keys", "analyze_keys", "compute_sampled"):
        connection.execute(_QUERIES[name].format(**parts))
    merge.refuse_repeated(connection, key, parts)
    connection.execute(_QUERIES["compare_sampled"].format(**parts))


def _make_query(connection: Connection, target: Target) -> None:
    path = connection.execute(_QUERIES["search_path"]).fetchone()
    # Printed where no name goes without its schema, it means the same to everybody.
    connection.execute(_QUERIES["set_search_path"], {"search_path": ""})
    found = connection.execute(
        _QUERIES.on("definition", major(connection)), {"relation": target.oid}
    ).fetchone()
    assert found is not None  # noqa: S101 - it stands, and its fence is ours
    view = identifiers.relation(_QUERY)
    connection.execute(
        # PostgreSQL wrote the query.
        sql.SQL("CREATE TEMPORARY VIEW {} AS {}").format(view, sql.SQL(found["query"]))
    )
    if found["can_be_given"]:
        owner = identifiers.role(found["owner"])
        connection.execute(sql.SQL("ALTER VIEW {} OWNER TO {}").format(view, owner))
    connection.execute(_QUERIES["set_search_path"], path)


def _examples(
    connection: Connection, target: Target, key: tuple[str, ...], limit: int
) -> tuple[DifferingRow, ...]:
    names = tuple(target.columns)
    rows = connection.execute(
        _QUERIES["differences"].format(
            table=identifiers.relation(target.relation),
            key_texts=_array(_KEY_TEXT, key),
            old_texts=_array(_OLD_TEXT, names),
            new_texts=_array(_NEW_TEXT, names),
            differing=_array(_DIFFERING, names),
            order=_each(_ORDER, key, _COMMA),
            limit=sql.Literal(limit),
        )
    )
    return tuple(_example(row, names, key) for row in rows)


def _example(
    row: Mapping[str, object], names: tuple[str, ...], key: tuple[str, ...]
) -> DifferingRow:
    difference = Difference(str(row["kind"]))
    values = zip(names, row["in_view"], row["in_query"], row["differing"], strict=True)  # type: ignore[call-overload]  # arrays
    return DifferingRow(
        difference=difference,
        key=dict(zip(key, row["key"], strict=True)),  # type: ignore[call-overload]  # an array
        columns={
            name: (in_view, in_query)
            for name, in_view, in_query, differs in values
            if differs and difference is Difference.CHANGED
        },
    )


def _each(piece: sql.SQL, of: tuple[str, ...], joiner: sql.SQL) -> sql.Composed:
    return joiner.join(piece.format(name=sql.Identifier(name)) for name in of)


def _array(piece: sql.SQL, of: tuple[str, ...]) -> sql.Composed:
    return sql.SQL("ARRAY[{}]").format(_each(piece, of, _COMMA))
