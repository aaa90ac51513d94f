"""The statements that make a view what its definition says; identifiers only through psycopg."""

from psycopg import sql

from refresher.config.model import Index, Kind, View
from refresher.names import RelationName, fitted_name
from refresher.postgres import identifiers
from refresher.postgres.sessions import Connection

_KINDS = {Kind.VIEW: sql.SQL("VIEW"), Kind.MATERIALIZED_VIEW: sql.SQL("MATERIALIZED VIEW")}


def execute_one(connection: Connection, statement: sql.Composed) -> None:
    """Execute a statement that holds a user's SQL.

    Asking for binary results makes psycopg use the extended protocol, where PostgreSQL itself
    refuses a text of two statements.
    """
    connection.execute(statement, binary=True)


def create(view: View, relation: RelationName) -> sql.Composed:
    """Create the view under a name, unpopulated."""
    return sql.SQL("{head}{query}\n{tail}").format(
        head=create_head(view, relation),
        query=_users(view.query),
        tail=sql.SQL("WITH NO DATA" if view.kind is Kind.MATERIALIZED_VIEW else ""),
    )


def create_head(view: View, relation: RelationName) -> sql.Composed:
    """What stands before the user's query."""
    return sql.SQL("CREATE {kind} {relation} AS\n").format(
        kind=_KINDS[view.kind], relation=identifiers.relation(relation)
    )


def wanted_indexes(view: View) -> dict[str, Index]:
    """The indexes a view must have, by name: its key's first."""
    wanted = {}
    if view.key:
        key = Index(columns=view.key, unique=True)
        wanted[fitted_name(view.relation.name, *view.key, suffix="key")] = key
    for index in view.indexes:
        parts = index.columns or ("expression",)
        wanted[index.name or fitted_name(view.relation.name, *parts, suffix="idx")] = index
    return wanted


def create_index(index: Index, name: str, relation: RelationName) -> sql.Composed:
    """Create one index."""
    keys = (
        identifiers.columns(index.columns)
        if index.columns
        else sql.SQL("({})").format(_users(index.expression or ""))
    )
    include = sql.SQL(" INCLUDE ({})").format(identifiers.columns(index.include))
    where = sql.SQL(" WHERE {}").format(_users(index.where or ""))
    return sql.SQL(
        "CREATE {unique}INDEX {name} ON {relation} USING {method} ({keys}){rest}"
    ).format(
        unique=sql.SQL("UNIQUE " if index.unique else ""),
        name=sql.Identifier(name),
        relation=identifiers.relation(relation),
        method=sql.Identifier(index.method),
        keys=keys,
        rest=sql.SQL("").join(
            ([include] if index.include else []) + ([where] if index.where else [])
        ),
    )


def set_owner(view: View, owner: str) -> sql.Composed:
    """Give the view to its owner."""
    return _alter(view, sql.SQL("OWNER TO {}").format(identifiers.role(owner)))


def _alter(view: View, change: sql.Composable) -> sql.Composed:
    return sql.SQL("ALTER {kind} {relation} {change}").format(
        kind=_KINDS[view.kind], relation=identifiers.relation(view.relation), change=change
    )


def revoke_all(view: View, role: str) -> sql.Composed:
    """Take everything from a role, and from those it passed it on to."""
    return sql.SQL("REVOKE ALL ON {relation} FROM {role} CASCADE").format(
        relation=identifiers.relation(view.relation), role=identifiers.role(role)
    )


def grant(view: View, role: str, privileges: tuple[str, ...]) -> sql.Composed:
    """Give privileges to a role; the loader admits only known ones."""
    return sql.SQL("GRANT {privileges} ON {relation} TO {role}").format(
        privileges=sql.SQL(", ").join([sql.SQL(privilege) for privilege in privileges]),
        relation=identifiers.relation(view.relation),
        role=identifiers.role(role),
    )


def set_comment(view: View, comment: str) -> sql.Composed:
    """Describe the view."""
    return sql.SQL("COMMENT ON {kind} {relation} IS {comment}").format(
        kind=_KINDS[view.kind],
        relation=identifiers.relation(view.relation),
        comment=sql.Literal(comment),
    )


def analyze(view: View) -> sql.Composed:
    """Gather statistics: a new view has none."""
    return sql.SQL("ANALYZE {}").format(identifiers.relation(view.relation))


def _users(text: str) -> sql.SQL:
    """A user's own SQL: trusted as their own, but only ever executed as one statement."""
    return sql.SQL(text)
