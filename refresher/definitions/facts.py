"""Reading relations' facts from the catalog."""

from collections.abc import Collection
from typing import Any

from refresher.definitions.model import IndexFacts, RelationFacts
from refresher.names import STORE, RelationName, query_name
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.definitions", "facts.sql")


def read_facts(connection: Connection, relation: RelationName) -> RelationFacts | None:
    """The facts of what stands under this name; None if nothing does."""
    return read_facts_of(connection, [relation]).get(relation)


def read_facts_of(
    connection: Connection, relations: Collection[RelationName]
) -> dict[RelationName, RelationFacts]:
    """The facts of what stands under these names; what does not stand is left out.

    They are the same whatever the role's search_path is.
    """
    queries = [query_name(relation) for relation in relations]
    names = {
        "schemas": [relation.schema for relation in relations],
        "names": [relation.name for relation in relations],
        "query_schemas": [query.schema for query in queries],
        "query_names": [query.name for query in queries],
    }
    with connection.transaction(force_rollback=True):
        connection.execute(_QUERIES["spell_out"])
        rows = connection.execute(_QUERIES["relations"], names).fetchall()
        ours = [row for row in rows if row["query_oid"] is not None or row["schema"] == STORE]
        if ours:
            oids = [row["oid"] for row in ours]
            found = connection.execute(_QUERIES["filled"], {"oids": oids})
            filled = {row["relation"] for row in found}
            for row in ours:
                row["populated"] = row["oid"] in filled
    return {RelationName(row.pop("schema"), row.pop("name")): _facts(row) for row in rows}


def _facts(row: dict[str, Any]) -> RelationFacts:
    return RelationFacts(
        **{
            **row,
            "columns": tuple((name, type_) for name, type_ in row["columns"]),
            "indexes": {
                name: IndexFacts(
                    unique=unique,
                    primary=primary,
                    body=body,
                    tablespace=tablespace,
                    statistics=tuple((number, target) for number, target in statistics),
                )
                for name, unique, primary, body, tablespace, statistics in row["indexes"]
            },
            "invalid_indexes": frozenset(row["invalid_indexes"]),
            "grants": {role: frozenset(privileges) for role, privileges in row["grants"].items()},
            "options": dict(option.split("=", 1) for option in row["options"]),
        }
    )
