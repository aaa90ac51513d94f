"""Who depends on managed views without being managed."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from refresher.config.model import Kind, View
from refresher.definitions.facts import read_facts_of
from refresher.definitions.model import RelationFacts, Subject, Unreadable
from refresher.names import RelationName, quoted
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.definitions", "dependents.sql")

_TRUE = {"true", "on", "yes", "1"}
_KINDS = {"v": Kind.VIEW, "m": Kind.MATERIALIZED_VIEW}


def unmanaged_readers(connection: Connection, known: Iterable[RelationFacts]) -> list[Subject]:
    """The views that read some relations, through others too, and are none of them."""
    oids = {oid for facts in known for oid in (facts.oid, facts.reader)}
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


def read_reads(
    connection: Connection, standing: Mapping[str, RelationFacts]
) -> dict[str, frozenset[str]]:
    """What views read directly as they stand, among themselves; by label."""
    readers = {facts.reader: label for label, facts in standing.items()}
    labels = {facts.oid: label for label, facts in standing.items()}
    found = {label: set[str]() for label in standing}
    asked = {"readers": list(readers), "oids": list(labels)}
    for row in connection.execute(_QUERIES["reads"], asked):
        found[readers[row["reader"]]].add(labels[row["read"]])
    return {label: frozenset(reads) for label, reads in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """Something that is no view, and depends on one."""

    relation: int
    """The view's OID."""
    type: str
    identity: str
    """As `pg_identify_object` spells it."""
    columns: Collection[str]
    """Those of the view that it uses."""
    part_of: int | None
    """The OID of the relation it belongs to, if it is a rule or a column."""
    owner: str | None
    """Whose members may make it again, if anything can."""
    drop: str
    """The statement that drops it: with its whole view, if it is a column of one."""
    statement: str | None
    """What makes it depend on what has the view's name then; None if nothing can."""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.type} {self.identity}"

    def problem(
        self, label: str, columns: Collection[str] | None, strangers: Collection[str] = ()
    ) -> str | None:
        """Why it can't depend on what comes in the place of a view; None if it can.

        Args:
            label: the view.
            columns: those of what comes; None if nothing does.
            strangers: roles whose belongings we may not change.
        """
        if columns is None or self.statement is None:
            return f"depends on {label}, and can't be re-pointed"
        gone = [column for column in self.columns if column not in columns]
        if gone:
            return f"uses {', '.join(gone)} of {label}, which would be gone"
        if self.owner in strangers:
            owner = quoted(self.owner or "")
            return f"depends on {label} and belongs to {owner}, whose members may change it"
        return None


def read_dependents(connection: Connection, oids: Collection[int]) -> list[Dependent]:
    """What depends on views without being one; rules and columns of views included."""
    with connection.transaction(force_rollback=True):
        connection.execute(_QUERIES["spell_out"])
        rows = connection.execute(_QUERIES["objects"], {"oids": list(oids)}).fetchall()
    return [Dependent(**row) for row in rows]


def read_own(
    connection: Connection,
    oid: int,
    columns: Collection[str],
    indexes: Collection[str],
    *,
    column_grants: bool,
    dropped: Collection[str],
) -> list[str]:
    """What a relation has of its own, as the statements that give it to another of its name.

    Args:
        connection: where it stands, under its name.
        oid: the relation.
        columns: those the other one has: what belongs to further ones is left out.
        indexes: those the other one has.
        column_grants: whether privileges on single columns are wanted, too.
        dropped: rules that are not wanted, by the names of dependents.
    """
    parameters = {
        "oid": oid,
        "columns": list(columns),
        "indexes": list(indexes),
        "column_grants": column_grants,
        "dropped": list(dropped),
    }
    with connection.transaction(force_rollback=True):
        connection.execute(_QUERIES["spell_out"])
        rows = connection.execute(_QUERIES["own"], parameters).fetchall()
    return [row["statement"] for row in rows]


def read_unreadable(
    connection: Connection, subjects: Mapping[str, Subject], twins: Mapping[str, int]
) -> dict[str, tuple[Unreadable, ...]]:
    """By view, the relations that it would read and its owner may not.

    One that reads as whoever reads it (`security_invoker`) is nobody's to fill.
    """
    asked = [
        (label, desired.owner, oid)
        for label, oid in twins.items()
        if (desired := subjects[label].desired) is not None
        and desired.options.get("security_invoker") not in _TRUE
    ]
    labels, owners, oids = zip(*asked, strict=True) if asked else ((), (), ())
    found: dict[str, tuple[Unreadable, ...]] = {}
    parameters = {"labels": list(labels), "owners": list(owners), "oids": list(oids)}
    for row in connection.execute(_QUERIES["unreadable"], parameters):
        unreadable = Unreadable(row["relation"], row["cure"])
        found[row["label"]] = (*found.get(row["label"], ()), unreadable)
    return found


def read_strangers(connection: Connection, roles: Collection[str]) -> frozenset[str]:
    """Of some roles, those whose belongings we may not change."""
    rows = connection.execute(_QUERIES["strangers"], {"roles": list(roles)})
    return frozenset(row["role"] for row in rows)


def _as_it_stands(relation: RelationName, facts: RelationFacts) -> View:
    return View(
        name=str(relation),
        database="",
        relation=relation,
        kind=_KINDS[facts.kind],
        query=facts.query.rstrip().removesuffix(";"),
        query_path=Path(str(relation)),
    )
