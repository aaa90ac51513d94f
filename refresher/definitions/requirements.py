"""What must be there before definitions can be carried out: schemas, roles, privileges.

They are asked for beforehand and all at once: what is missing is no fault of a definition's, and
one statement often cures many views.
"""

from collections.abc import Iterable, Mapping

from refresher.config.model import View
from refresher.definitions.model import RelationFacts
from refresher.errors import CatalogError
from refresher.names import STORE, quoted
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.definitions", "requirements.sql")


def require_privileges(
    connection: Connection, views: Mapping[str, View], standing: Mapping[str, RelationFacts | None]
) -> None:
    """Make sure that nothing is missing that these views need.

    Raises:
        CatalogError: something is; names all of it, with the statements that make it.
    """
    gaps = [
        *_database_gaps(connection),
        *_schema_gaps(connection, [views[name] for name, facts in standing.items() if not facts]),
        *_role_gaps(connection, views.values()),
        *_owner_gaps(connection, views, standing),
    ]
    if gaps:
        lacking = f"database {connection.info.dbname!r} lacks what the views name"
        asked = f"{lacking}; correct the configuration, or have somebody run:"
        raise CatalogError("\n".join((asked, *gaps)))


def _database_gaps(connection: Connection) -> list[str]:
    """Definitions are simulated as temporary views."""
    row = connection.execute(_QUERIES["temporary"]).fetchone()
    if row is None or row["allowed"]:
        return []
    return [
        (
            f"GRANT TEMPORARY ON DATABASE {quoted(connection.info.dbname)} TO"
            f" {quoted(connection.info.user)}"
        )
    ]


def closed_schemas(connection: Connection, schemas: Iterable[str]) -> frozenset[str]:
    """Of some schemas, those this role may not create relations in."""
    rows = connection.execute(_QUERIES["schemas"], {"schemas": list(dict.fromkeys(schemas))})
    return frozenset(row["name"] for row in rows if not row["may_create"])


def _schema_gaps(connection: Connection, views: Iterable[View]) -> list[str]:
    schemas = list(dict.fromkeys(view.relation.schema for view in views))
    role = quoted(connection.info.user)
    gaps = []
    for row in connection.execute(_QUERIES["schemas"], {"schemas": schemas}):
        name = quoted(row["name"])
        if not row["present"] and row["name"] == STORE:
            continue  # an apply makes it first
        if not row["present"]:
            gaps.append(f"CREATE SCHEMA {name} AUTHORIZATION {role}")
        elif not row["may_create"]:
            gaps.append(f"GRANT USAGE, CREATE ON SCHEMA {name} TO {role}")
    return gaps


def _role_gaps(connection: Connection, views: Iterable[View]) -> list[str]:
    roles = [name for view in views for name in _roles(view)]
    rows = connection.execute(_QUERIES["roles"], {"roles": list(dict.fromkeys(roles))})
    return [f"CREATE ROLE {quoted(row['name'])}" for row in rows if not row["present"]]


def _roles(view: View) -> list[str]:
    owner = [] if view.owner is None else [view.owner]
    return owner + [role for role in view.grants or {} if role != "public"]


def _owner_gaps(
    connection: Connection, views: Mapping[str, View], standing: Mapping[str, RelationFacts | None]
) -> list[str]:
    """What giving views to their owners lacks; one that has its own already needs nothing."""
    wanted = []
    for name, view in views.items():
        facts = standing[name]
        if view.owner is not None and (facts is None or facts.owner != view.owner):
            wanted.append((view.owner, view.relation.schema))
    pairs = list(dict.fromkeys(wanted))
    owners = list(dict.fromkeys(owner for owner, _ in pairs))
    role = quoted(connection.info.user)
    gaps = [
        f"GRANT {quoted(row['name'])} TO {role}"
        for row in connection.execute(_QUERIES["roles"], {"roles": owners})
        if row["present"] and not row["is_member"]
    ]
    asked = {"roles": [owner for owner, _ in pairs], "schemas": [schema for _, schema in pairs]}
    gaps += [
        f"GRANT USAGE, CREATE ON SCHEMA {quoted(row['schema'])} TO {quoted(row['role'])}"
        for row in connection.execute(_QUERIES["owners"], asked)
        if not row["may_create"]
    ]
    return gaps
