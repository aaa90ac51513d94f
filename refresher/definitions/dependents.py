"""Who depends on managed views without being managed."""

from collections.abc import Collection, Mapping
from pathlib import Path

from refresher.config.model import Kind, View
from refresher.definitions.facts import read_facts_of
from refresher.definitions.model import RelationFacts, Subject
from refresher.names import RelationName
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.definitions", "dependents.sql")

_KINDS = {"v": Kind.VIEW, "m": Kind.MATERIALIZED_VIEW}


def unmanaged_readers(connection: Connection, oids: Collection[int]) -> list[Subject]:
    """The views that read some relations, through others too, and are none of them."""
    rows = connection.execute(_QUERIES["readers"], {"oids": list(oids)})
    relations = [RelationName(row["schema"], row["name"]) for row in rows]
    facts = read_facts_of(connection, relations)
    return [
        Subject(
            label=str(relation),
            view=_as_it_stands(relation, facts[relation]),
            managed=False,
            standing=facts[relation],
            desired=None,
        )
        for relation in relations
        if relation in facts
    ]


def read_standing_reads(
    connection: Connection, labels: Mapping[int, str]
) -> dict[str, frozenset[str]]:
    """What views read directly as they stand, among themselves; by label."""
    found = {label: set[str]() for label in labels.values()}
    for row in connection.execute(_QUERIES["reads"], {"oids": list(labels)}):
        found[labels[row["reader"]]].add(labels[row["read"]])
    return {label: frozenset(reads) for label, reads in found.items()}


def _as_it_stands(relation: RelationName, facts: RelationFacts) -> View:
    return View(
        name=str(relation),
        database="",
        relation=relation,
        kind=_KINDS[facts.kind],
        query=facts.query.rstrip().removesuffix(";"),
        query_path=Path(str(relation)),
    )
