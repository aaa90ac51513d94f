"""Giving a relation its owner, its grants and its options."""

from collections.abc import Collection, Iterable

from refresher.definitions import statements
from refresher.definitions.creating import give_query
from refresher.definitions.facts import read_facts
from refresher.definitions.model import RelationFacts
from refresher.errors import CatalogError
from refresher.names import RelationName
from refresher.postgres.sessions import Connection

OF_A_COLUMN = " of a column"


def dress(connection: Connection, relation: RelationName, desired: RelationFacts) -> list[str]:
    """Make owner, grants and options of what stands the desired ones; returns what was done.

    Raises:
        CatalogError: nothing stands.
        psycopg.Error: whatever PostgreSQL says.
    """
    done = []
    standing = require_facts(connection, relation)
    if standing.owner != desired.owner:
        connection.execute(statements.set_owner(standing.kind, relation, desired.owner))
        if standing.query_oid is not None:
            give_query(connection, relation, desired.owner)
        done.append(f"owner {desired.owner}")
        # Grants of the former owner are the new one's now, and its own need no grant.
        standing = require_facts(connection, relation)
    if dict(standing.grants) != dict(desired.grants):
        regrant(connection, relation, standing, desired)
        done.append("grants")
    if dict(standing.options) != dict(desired.options):
        gone = [name for name in standing.options if name not in desired.options]
        if gone:
            connection.execute(statements.reset_options(standing.kind, relation, gone))
        if desired.options:
            connection.execute(statements.set_options(standing.kind, relation, desired.options))
        done.append("options")
    return done


def regrant(
    connection: Connection,
    relation: RelationName,
    standing: RelationFacts,
    desired: RelationFacts,
) -> None:
    """Take every privilege that others have, and give the desired ones.

    ALTER DEFAULT PRIVILEGES may have opened a relation to others the moment it was created.
    """
    for role, privileges in standing.grants.items():
        if privileges != desired.grants.get(role, frozenset()):
            connection.execute(statements.revoke_all(relation, role))
    for role, privileges in desired.grants.items():
        if privileges != standing.grants.get(role, frozenset()):
            for statement in statements.grant(relation, role, _of_the_whole(privileges)):
                connection.execute(statement)


def _of_the_whole(privileges: Collection[str]) -> Iterable[str]:
    return sorted(privilege for privilege in privileges if OF_A_COLUMN not in privilege)


def require_facts(connection: Connection, relation: RelationName) -> RelationFacts:
    """The facts of what must stand.

    Raises:
        CatalogError: it does not.
    """
    facts = read_facts(connection, relation)
    if facts is None:
        message = f"{relation} was dropped by somebody else meanwhile; apply again"
        raise CatalogError(message)
    return facts
