"""Reading a relation's facts from the catalog."""

from refresher.definitions.model import IndexFacts, RelationFacts
from refresher.names import RelationName
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.definitions", "facts.sql")


def read_facts(connection: Connection, relation: RelationName) -> RelationFacts | None:
    """The facts of what stands under this name; None if nothing does.

    They are the same whatever the role's search_path is.
    """
    names = {"schema": relation.schema, "name": relation.name}
    with connection.transaction(force_rollback=True):
        connection.execute(_QUERIES["spell_out"])
        row = connection.execute(_QUERIES["relation"], names).fetchone()
        if row is None:
            return None
        oid = {"oid": row["oid"]}
        columns = connection.execute(_QUERIES["columns"], oid)
        indexes = connection.execute(_QUERIES["indexes"], oid)
        grants = connection.execute(_QUERIES["grants"], oid)
    return RelationFacts(
        **row,
        columns=tuple((column["name"], column["type"]) for column in columns),
        indexes={index["name"]: IndexFacts(index["unique"], index["body"]) for index in indexes},
        grants={grant["role"]: frozenset(grant["privileges"]) for grant in grants},
    )
