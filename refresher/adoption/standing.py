"""Reading what can be taken into a configuration."""

from collections.abc import Collection, Iterable

import psycopg
from psycopg import sql

from refresher.adoption.model import Adoptable, StandingIndex
from refresher.config.model import Kind
from refresher.definitions.facts import read_facts_of
from refresher.definitions.model import RelationFacts
from refresher.names import RelationName, fitted_name
from refresher.postgres import identifiers
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, set_local

_QUERIES = load_queries("refresher.adoption", "standing.sql")
_KINDS = {"v": Kind.VIEW, "m": Kind.MATERIALIZED_VIEW, "r": Kind.TABLE}
_PATIENCE = "5s"
"""For looking for nulls in a key: where it takes longer nothing is claimed about them."""


def read_candidates(connection: Connection) -> dict[RelationName, Kind]:
    """All views, of every kind, that somebody may want to manage."""
    rows = connection.execute(_QUERIES["candidates"])
    found = {RelationName(row["schema"], row["name"]): _KINDS[row["kind"]] for row in rows}
    tables = [relation for relation, kind in found.items() if kind is Kind.TABLE]
    facts = read_facts_of(connection, tables) if tables else {}
    others = {name for name in tables if name not in facts or not facts[name].is_view}
    return {relation: kind for relation, kind in found.items() if relation not in others}


def read_role(connection: Connection) -> str:
    """Who we are in this database."""
    row = connection.execute(_QUERIES["role"]).fetchone()
    return str(row["role"]) if row else ""


def read_adoptable(connection: Connection, relations: Collection[RelationName]) -> list[Adoptable]:
    """What stands under these names, in the order of schemas and names."""
    facts = read_facts_of(connection, relations)
    indexes = _read_indexes(connection, facts.values())
    return [
        Adoptable(
            relation=relation,
            kind=_KINDS[standing.kind],
            facts=standing,
            indexes=tuple(indexes.get(standing.oid, ())),
            key_index=_key_index(connection, relation, indexes.get(standing.oid, ())),
        )
        for relation, standing in sorted(facts.items())
        if standing.is_view
    ]


def _read_indexes(
    connection: Connection, relations: Iterable[RelationFacts]
) -> dict[int, list[StandingIndex]]:
    facts = {relation.oid: relation.indexes for relation in relations}
    found: dict[int, list[StandingIndex]] = {}
    with connection.transaction(force_rollback=True):
        connection.execute(set_local("search_path", "pg_catalog"))  # as the facts are read
        rows = connection.execute(_QUERIES["indexes"], {"oids": list(facts)}).fetchall()
    for row in rows:
        oid, name = row.pop("relation"), row["name"]
        if name not in facts[oid]:
            continue  # it came while we were reading
        parts = {
            **row,
            "columns": None if row["columns"] is None else tuple(row["columns"]),
            "include": tuple(row["include"]),
        }
        found.setdefault(oid, []).append(StandingIndex(**parts, facts=facts[oid][name]))
    return found


def _key_index(
    connection: Connection, relation: RelationName, indexes: Iterable[StandingIndex]
) -> str | None:
    """An index that is what `key` would make, one of the name `key` gives it before others."""
    found: list[tuple[bool, str]] = []
    for index in indexes:
        if index.facts.primary:
            return index.name
        if not index.identifies or index.columns is None or index.facts.tablespace is not None:
            continue
        same = index.facts.body == index.plain and not index.include
        if same and not _has_nulls(connection, relation, index.columns):
            found.append(
                (index.name != fitted_name(relation.name, *index.columns, suffix="key"), index.name)
            )
    return min(found)[1] if found else None


def _has_nulls(connection: Connection, relation: RelationName, columns: tuple[str, ...]) -> bool:
    """Whether a key has nulls; yes where that can't be found out."""
    missing = sql.SQL(" OR ").join(
        sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name in columns
    )
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {}) AS found").format(
        identifiers.relation(relation), missing
    )
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(set_local("statement_timeout", _PATIENCE))
            row = connection.execute(query).fetchone()
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return False  # it was never populated: there is nothing in it
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.QueryCanceled):
        return True
    return row is None or bool(row["found"])
