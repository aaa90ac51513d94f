"""Telling what apply built beside, and did not get to exchange, from everybody else's relations."""

import contextlib

import psycopg

from refresher.definitions import statements
from refresher.definitions.facts import read_facts
from refresher.definitions.naming import PREFIX, made_name
from refresher.names import RelationName
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.definitions", "marks.sql")
_COMMENT = "refresher builds this beside {}; if it is left over, the next apply drops it"


def free_name(connection: Connection, relation: RelationName, purpose: str) -> RelationName:
    """A name made from a relation's, in its schema, that nothing has yet."""
    number = 0
    while True:
        name = made_name(relation.name, purpose, number)
        names = {"schema": relation.schema, "name": name}
        if connection.execute(_QUERIES["taken"], names).fetchone() is None:
            return RelationName(relation.schema, name)
        number += 1


def mark_comment(relation: RelationName) -> str:
    """The comment of what is built beside a relation."""
    return _COMMENT.format(relation)


def drop_leftovers(connection: Connection) -> list[str]:
    """Drop what earlier applies left; returns what was dropped.

    What somebody came to depend on stays: it is in nobody's way, since names are made that are
    free.

    It is told by its comment and its name, never by the name alone. Only the holder of the apply's
    lock may do this: everything else that is marked is being built by it.
    """
    rows = connection.execute(
        _QUERIES["leftovers"],
        {"prefix": PREFIX, "begin": _COMMENT.partition("{")[0]},
    ).fetchall()
    dropped = []
    for row in rows:
        relation = RelationName(row["schema"], row["name"])
        if row["kind"] == "r" and not _has_query(connection, relation):
            continue  # whatever its comment says, no table of ours is without its query
        with (
            contextlib.suppress(psycopg.errors.DependentObjectsStillExist),
            connection.transaction(),
        ):
            connection.execute(statements.drop(row["kind"], relation))
            dropped.append(str(relation))
    return dropped


def _has_query(connection: Connection, table: RelationName) -> bool:
    facts = read_facts(connection, table)
    return facts is not None and facts.query_oid is not None
