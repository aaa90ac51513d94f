"""The statements that make a view's indexes what its definition says, its primary key included."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from psycopg import sql

from refresher.config.model import Index, Kind, View
from refresher.definitions import statements
from refresher.definitions.model import IndexFacts
from refresher.names import RelationName, fitted_name
from refresher.postgres import identifiers


def wanted_indexes(view: View) -> dict[str, Index]:
    """The indexes a view must have, by name: its key's first, unless one of the others is it."""
    wanted = {}
    key = Index(columns=view.key, unique=True)
    others = [replace(index, name=None, include=(), statistics={}) for index in view.indexes]
    primary = primary_key_name(view)
    if primary is not None:
        wanted[primary] = key
    elif view.key and key not in others:
        wanted[fitted_name(view.relation.name, *view.key, suffix="key")] = key
    for index in view.indexes:
        parts = index.columns or ("expression",)
        wanted[index.name or fitted_name(view.relation.name, *parts, suffix="idx")] = index
    return wanted


def create_index(index: Index, name: str, relation: RelationName) -> sql.Composed:
    """Create one index as it is configured."""
    return _create_index(name, relation, _body(index), unique=index.unique)


def configured_index(
    index: Index, name: str, relation: RelationName, *, primary: bool = False
) -> Iterator[sql.Composed]:
    """Create one index as it is configured, with its statistics targets; `primary` by its key."""
    if primary:
        yield add_primary_key(relation, name, index.columns)
    else:
        yield create_index(index, name, relation)
    yield from set_statistics(RelationName(relation.schema, name), index.statistics.items())


def standing_index(
    facts: IndexFacts, name: str, relation: RelationName, *, concurrently: bool = False
) -> Iterator[sql.Composed]:
    """Create an index from its facts, in the tablespace that is the default, with its targets."""
    if facts.primary:
        yield _add_primary_key(relation, name, sql.SQL(facts.body.removeprefix("USING btree ")))
        return
    body = sql.SQL(facts.body)
    yield _create_index(name, relation, body, unique=facts.unique, concurrently=concurrently)
    yield from set_statistics(RelationName(relation.schema, name), facts.statistics)


def _create_index(
    name: str,
    relation: RelationName,
    body: sql.Composable,
    *,
    unique: bool,
    concurrently: bool = False,
) -> sql.Composed:
    return sql.SQL("CREATE {unique}INDEX {concurrently}{name} ON {relation} {body}").format(
        unique=sql.SQL("UNIQUE " if unique else ""),
        concurrently=sql.SQL("CONCURRENTLY " if concurrently else ""),
        name=sql.Identifier(name),
        relation=identifiers.relation(relation),
        body=body,
    )


def _body(index: Index) -> sql.Composable:
    if index.definition is not None:
        return statements.users(index.definition)
    keys = (
        identifiers.columns(index.columns)
        if index.columns
        else sql.SQL("({})").format(statements.users(index.expression or ""))
    )
    include = sql.SQL(" INCLUDE ({})").format(identifiers.columns(index.include))
    where = sql.SQL(" WHERE {}").format(statements.users(index.where or ""))
    return sql.SQL("USING {method} ({keys}){rest}").format(
        method=sql.Identifier(index.method),
        keys=keys,
        rest=sql.SQL("").join(
            ([include] if index.include else []) + ([where] if index.where else [])
        ),
    )


def set_statistics(
    index: RelationName, targets: Iterable[tuple[int, int]]
) -> Iterator[sql.Composed]:
    """Set statistics targets of an index's columns, by their numbers."""
    for number, target in targets:
        yield sql.SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
            identifiers.relation(index), sql.Literal(number), sql.Literal(target)
        )


def primary_key_name(view: View) -> str | None:
    """What the primary key of a table is called; None if the view is none."""
    return fitted_name(view.relation.name, suffix="pkey") if view.kind is Kind.TABLE else None


def drop_index(index: RelationName, *, concurrently: bool = True) -> sql.Composed:
    """Drop an index; concurrently nobody is blocked who reads its relation."""
    return sql.SQL("DROP INDEX {}{}").format(
        sql.SQL("CONCURRENTLY " if concurrently else ""), identifiers.relation(index)
    )


def rename_index(index: RelationName, name: str) -> sql.Composed:
    """Give an index another name."""
    return sql.SQL("ALTER INDEX {} RENAME TO {}").format(
        identifiers.relation(index), sql.Identifier(name)
    )


def add_primary_key(relation: RelationName, name: str, columns: tuple[str, ...]) -> sql.Composed:
    """Make columns a table's primary key."""
    return _add_primary_key(relation, name, sql.SQL("({})").format(identifiers.columns(columns)))


def _add_primary_key(relation: RelationName, name: str, columns: sql.Composable) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY {}").format(
        identifiers.relation(relation), sql.Identifier(name), columns
    )
