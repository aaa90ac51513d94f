"""The statements that make a view what its definition says; identifiers only through psycopg."""

from collections.abc import Iterable, Iterator, Mapping

import psycopg
from psycopg import sql

from refresher.errors import FailureReason
from refresher.names import STORE, RelationName, query_name
from refresher.postgres import identifiers
from refresher.postgres.failures import failure_reason
from refresher.postgres.sessions import Connection, set_local
from refresher.refresh.columns.staging import stage_name

KINDS = {"v": sql.SQL("VIEW"), "m": sql.SQL("MATERIALIZED VIEW"), "r": sql.SQL("TABLE")}
"""How statements call what `pg_class.relkind` calls v, m and r."""

_REFUSALS = frozenset(
    {
        FailureReason.DEFINITION,
        FailureReason.NOT_UNIQUE,
        FailureReason.OTHER,
        FailureReason.PERMISSION,
    }
)


def execute_one(connection: Connection, statement: sql.Composed) -> None:
    """Execute a statement that holds a user's SQL.

    Asking for binary results makes psycopg use the extended protocol, where PostgreSQL itself
    refuses a text of two statements.
    """
    connection.execute(statement, binary=True)


def require_refusal(error: psycopg.Error) -> None:
    """Raise an error that is no definition's fault: a timeout, a lost connection, a full disk."""
    if failure_reason(error) not in _REFUSALS:
        raise error


def create(
    kind: str,
    relation: RelationName,
    query: str,
    options: Mapping[str, str],
    *,
    replace: bool = False,
) -> sql.Composed:
    """Create a view from its query, unpopulated; `replace` a plain one that stands."""
    return sql.SQL("CREATE {replace}{kind} {relation} {options}AS\n{query}\n{tail}").format(
        replace=sql.SQL("OR REPLACE " if replace else ""),
        kind=KINDS[kind],
        relation=identifiers.relation(relation),
        options=_with(options),
        query=users(query.rstrip().removesuffix(";")),
        tail=sql.SQL("WITH NO DATA" if kind == "m" else ""),
    )


def create_table(
    relation: RelationName, query: str, options: Mapping[str, str]
) -> Iterator[sql.Composed]:
    """Create a maintained table, empty and without its key, and the view that keeps its query."""
    kept = query_name(relation)
    yield create("v", kept, query, {})
    yield sql.SQL("CREATE TABLE {relation} {options}AS TABLE {query} WITH NO DATA").format(
        relation=identifiers.relation(relation),
        options=_with(options),
        query=identifiers.relation(kept),
    )


def _with(options: Mapping[str, str]) -> sql.Composable:
    if not options:
        return sql.SQL("")
    return sql.SQL("WITH ({}) ").format(sql.SQL(", ").join(_settings(options)))


def _settings(options: Mapping[str, str]) -> list[sql.Composed]:
    return [
        sql.SQL("{} = {}").format(identifiers.setting(name), sql.Literal(value))
        for name, value in options.items()
    ]


def default_tablespace(tablespace: str | None) -> sql.Composed:
    """Until the transaction ends, create what names no tablespace in this one."""
    return set_local("default_tablespace", tablespace or "")


def default_access_method(name: str) -> sql.Composed:
    """Until the transaction ends, create what names no access method with this one."""
    return set_local("default_table_access_method", name)


def drop(kind: str, relation: RelationName) -> sql.Composed:
    """Drop a view on which nothing depends, a table's query with it; never with CASCADE."""
    dropped = sql.SQL("DROP {} {}").format(KINDS[kind], identifiers.relation(relation))
    return dropped if kind != "r" else drop_query(relation) + sql.SQL("; ") + dropped


def drop_stage(view: str) -> sql.Composed:
    """Drop what a run that was cut off left of the columns it was to fill."""
    return sql.SQL("DROP TABLE IF EXISTS {}").format(identifiers.relation(stage_name(view)))


def drop_query(table: RelationName) -> sql.Composed:
    """Drop the query that is kept for a table."""
    return sql.SQL("DROP VIEW IF EXISTS {}").format(identifiers.relation(query_name(table)))


def rename(kind: str, relation: RelationName, name: str) -> sql.Composed:
    """Give a view another name."""
    return _alter(kind, relation, sql.SQL("RENAME TO {}").format(sql.Identifier(name)))


def move(kind: str, relation: RelationName, to: RelationName) -> Iterator[sql.Composed]:
    """Give a view another name, in another schema if need be."""
    if relation.name != to.name:
        yield rename(kind, relation, to.name)
    if relation.schema != to.schema:
        moved = RelationName(relation.schema, to.name)
        yield _alter(kind, moved, sql.SQL("SET SCHEMA {}").format(sql.Identifier(to.schema)))
    if kind == "r":
        yield rename("v", query_name(relation), query_name(to).name)


def set_owner(kind: str, relation: RelationName, owner: str) -> sql.Composed:
    """Give a view to its owner. To the one it has, this only takes an ACCESS EXCLUSIVE lock."""
    return _alter(kind, relation, sql.SQL("OWNER TO {}").format(identifiers.role(owner)))


def grant_store(role: str) -> sql.Composed:
    """Let a role create relations in the store's schema."""
    return sql.SQL("GRANT CREATE ON SCHEMA {} TO {}").format(
        sql.Identifier(STORE), identifiers.role(role)
    )


def revoke_store(role: str) -> sql.Composed:
    """Let it no more."""
    return sql.SQL("REVOKE CREATE ON SCHEMA {} FROM {}").format(
        sql.Identifier(STORE), identifiers.role(role)
    )


def set_options(kind: str, relation: RelationName, options: Mapping[str, str]) -> sql.Composed:
    """Set options of a view."""
    change = sql.SQL("SET ({})").format(sql.SQL(", ").join(_settings(options)))
    return _alter(kind, relation, change)


def reset_options(kind: str, relation: RelationName, names: Iterable[str]) -> sql.Composed:
    """Set options of a view back to their defaults."""
    change = sql.SQL("RESET ({})").format(sql.SQL(", ").join(map(identifiers.setting, names)))
    return _alter(kind, relation, change)


def _alter(kind: str, relation: RelationName, change: sql.Composable) -> sql.Composed:
    return sql.SQL("ALTER {kind} {relation} {change}").format(
        kind=KINDS[kind], relation=identifiers.relation(relation), change=change
    )


def set_type(relation: RelationName, column: str, type_: str) -> sql.Composed:
    """Give a column of a table another type, which PostgreSQL has spelled."""
    return sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(
        identifiers.relation(relation), sql.Identifier(column), users(type_)
    )


def revoke_all(relation: RelationName, role: str) -> sql.Composed:
    """Take everything from a role, and from those it passed it on to."""
    return sql.SQL("REVOKE ALL ON {relation} FROM {role} CASCADE").format(
        relation=identifiers.relation(relation), role=identifiers.role(role)
    )


_GRANT_OPTION = " with grant option"


def grant(relation: RelationName, role: str, privileges: Iterable[str]) -> Iterator[sql.Composed]:
    """Give privileges to a role; the loader admits only known ones."""
    for privilege in privileges:
        name = privilege.removesuffix(_GRANT_OPTION)
        yield sql.SQL("GRANT {privilege} ON {relation} TO {role}{option}").format(
            privilege=sql.SQL(name),
            relation=identifiers.relation(relation),
            role=identifiers.role(role),
            option=sql.SQL(_GRANT_OPTION if privilege != name else ""),
        )


def set_comment(kind: str, relation: RelationName, comment: str | None) -> sql.Composed:
    """Describe a view, or take its description away."""
    return sql.SQL("COMMENT ON {kind} {relation} IS {comment}").format(
        kind=KINDS[kind],
        relation=identifiers.relation(relation),
        comment=sql.Literal(comment),
    )


def analyze(relation: RelationName) -> sql.Composed:
    """Gather statistics: a new view has none."""
    return sql.SQL("ANALYZE {}").format(identifiers.relation(relation))


def users(text: str) -> sql.SQL:
    """A user's own SQL: trusted as their own, but only ever executed as one statement."""
    return sql.SQL(text)
