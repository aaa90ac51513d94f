"""Creating relations: of a maintained table, also the view that keeps its query."""

from refresher.definitions import statements
from refresher.definitions.facts import read_facts
from refresher.definitions.model import RelationFacts
from refresher.names import RelationName, query_name
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.definitions", "creating.sql")


def create(
    connection: Connection, relation: RelationName, query: str, desired: RelationFacts
) -> None:
    """Create a relation without contents, in the transaction that is open.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    if desired.kind != "r":
        create_view = statements.create(desired.kind, relation, query, desired.options)
        statements.execute_one(connection, create_view)
        return
    for statement in statements.create_table(relation, query, desired.options):
        statements.execute_one(connection, statement)
    _close(connection, query_name(relation))


def replace_query(
    connection: Connection, relation: RelationName, query: str, desired: RelationFacts
) -> None:
    """Give a table another query, whatever the types of its columns.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    kept = query_name(relation)
    connection.execute(statements.drop_query(relation))
    statements.execute_one(connection, statements.create("v", kept, query, {}))
    _close(connection, kept)
    give_query(connection, relation, desired.owner)


def give_query(connection: Connection, table: RelationName, owner: str) -> None:
    """Give the query of a table to the table's owner, who is to read what it reads.

    PostgreSQL asks that the new owner may create relations in the schema, which is the store's, and
    nobody's to create in for longer than that.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    row = connection.execute(_QUERIES["may_create"], {"role": owner}).fetchone()
    may_create = row is not None and row["may_create"]
    if not may_create:
        connection.execute(statements.grant_store(owner))
    connection.execute(statements.set_owner("v", query_name(table), owner))
    if not may_create:
        connection.execute(statements.revoke_store(owner))


def _close(connection: Connection, query: RelationName) -> None:
    """Take what ALTER DEFAULT PRIVILEGES gave others the moment a query was created."""
    facts = read_facts(connection, query)
    assert facts is not None  # noqa: S101 - it was created a moment ago
    for role in facts.grants:
        connection.execute(statements.revoke_all(query, role))
