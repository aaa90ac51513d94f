"""Temporary twins of views: definitions as PostgreSQL understands them, reading each other.

A twin is a temporary view, whatever its view is: it locks nothing that stands, needs no privilege
but TEMPORARY on the database, and goes with the transaction. Definitions that read a twin's view
read the twin, so that each is seen as it would be once all are carried out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from refresher.config.model import Index, View
from refresher.definitions import index_statements, statements
from refresher.definitions.facts import read_facts_of
from refresher.definitions.model import IndexFacts, RelationFacts
from refresher.definitions.shadow import Shadowed, Twin, shadowed
from refresher.definitions.template import mark
from refresher.names import RelationName
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.definitions", "twins.sql")

_CREATE = sql.SQL("CREATE TEMPORARY VIEW {} AS\n")
_CREATE_TABLE = sql.SQL("CREATE TEMPORARY TABLE {} AS TABLE {} WITH NO DATA")
_STAND_IN = sql.SQL("CREATE TEMPORARY VIEW {} AS {}")
_RENAME = sql.SQL("ALTER VIEW {} RENAME TO {}")
_FORMS = ("refresher_form_0_x", "refresher_form_1_x")
_DROP = sql.SQL("DROP VIEW {}, {}")


@dataclass(frozen=True, slots=True)
class Reads:
    """What a query reads of the views that matter, by label."""

    twins: frozenset[str]
    standing: frozenset[str]
    """What it reads as it stands, for that has no twin (yet)."""


class Twins:
    """The twins of one transaction."""

    def __init__(
        self,
        connection: Connection,
        relations: Mapping[str, RelationName],
        standing: Mapping[str, int],
        renamed: Mapping[str, RelationName],
    ) -> None:
        """Prepare twins.

        Args:
            connection: in a transaction.
            relations: what is to have a twin, by label.
            standing: the OIDs of those that stand.
            renamed: where those stand whose name is to change: what reads them knows that name.
        """
        self._connection = connection
        self._relations = relations
        self._standing = standing
        self._renamed = renamed
        self._labels = {oid: label for label, oid in standing.items()}
        self.labels = tuple(relations)
        """The views that twins' marks number."""
        self._numbers = {label: number for number, label in enumerate(relations)}
        connection.execute(_QUERIES["search"])
        visible = self._read_visible()
        self._twins = {
            label: Twin(relation.name if label in visible else self._mark(label), label in visible)
            for label, relation in relations.items()
        }
        self.oids: dict[int, str] = {}
        """The twins there are."""

    def create(self, label: str, query: str) -> Reads:
        """Create the twin of a view from its query; returns what it reads.

        Raises:
            psycopg.Error: PostgreSQL refuses the query.
        """
        create = _CREATE.format(self._twin(label)) + statements.users(self.shadowed(query).text)
        statements.execute_one(self._connection, create)
        oid, reads = self._read_reads(self._twins[label].name)
        self.oids[oid] = label
        return reads

    def probe(self, query: str) -> Reads:
        """What a query would read; nothing of it stays.

        Raises:
            psycopg.Error: PostgreSQL refuses it; `position` makes sense of where.
        """
        with self._connection.transaction(force_rollback=True):
            create = _CREATE.format(_form_name(0)) + statements.users(self.shadowed(query).text)
            statements.execute_one(self._connection, create)
            return self._read_reads(_FORMS[0])[1]

    def position(self, query: str, position: int) -> int:
        """Where in a probed query something is that PostgreSQL points at, counted from 0."""
        head = _CREATE.format(_form_name(0)).as_string()
        return self.shadowed(query).original(position - 1 - len(head))

    def stands(self, label: str) -> bool:
        """Whether there is something that a twin stands in for."""
        return label in self._standing

    def name(self, label: str) -> str:
        """The name queries know a twin by."""
        return self._relations[label].name

    def forget(self, label: str) -> None:
        """Know a twin no more whose creation was rolled back."""
        self.oids = {oid: known for oid, known in self.oids.items() if known != label}

    def stand_in(self, label: str) -> None:
        """Have an empty view stand in: with the columns of what stands, or with none."""
        query: sql.Composable = sql.SQL("SELECT")
        if label in self._standing:
            relation = self._renamed.get(label, self._relations[label])
            query = sql.SQL("TABLE {}").format(sql.Identifier(relation.schema, relation.name))
        self._connection.execute(_STAND_IN.format(self._twin(label), query))
        self.oids[self._read_reads(self._twins[label].name)[0]] = label

    def refuse_index(self, label: str, index: Index) -> psycopg.Error | None:
        """Why PostgreSQL refuses an index on the twin's columns, if it does."""
        table = RelationName("pg_temp", self._table(label))
        try:
            with self._connection.transaction(force_rollback=True):
                self._create_table(label)
                for statement in index_statements.configured_index(index, table.name + "_i", table):
                    statements.execute_one(self._connection, statement)
        except psycopg.Error as error:
            statements.require_refusal(error)
            return error
        return None

    def read_indexes(self, views: Mapping[str, View]) -> dict[str, dict[str, IndexFacts]]:
        """The indexes views are to have, in PostgreSQL's own words, by the names they will have.

        Raises:
            psycopg.Error: PostgreSQL refuses one of them.
        """
        wanted = {label: index_statements.wanted_indexes(view) for label, view in views.items()}
        tables = {label: RelationName("pg_temp", self._table(label)) for label in wanted}
        with self._connection.transaction(force_rollback=True):
            for label, indexes in wanted.items():
                if indexes:
                    self._create_table(label)
                primary = index_statements.primary_key_name(views[label])
                for number, (name, index) in enumerate(indexes.items()):
                    temporary = f"{tables[label].name}_{number}"
                    for statement in index_statements.configured_index(
                        index, temporary, tables[label], primary=name == primary
                    ):
                        statements.execute_one(self._connection, statement)
            facts = self._read([tables[label].name for label in wanted if wanted[label]])
        return {
            label: {
                name: facts[tables[label].name].indexes[f"{tables[label].name}_{number}"]
                for number, name in enumerate(indexes)
            }
            for label, indexes in wanted.items()
        }

    def mark_all(self) -> None:
        """Give every twin a name that occurs nowhere else: queries are printed with it."""
        for label in self.oids.values():
            if self._twins[label].visible:
                marked = self._mark(label)
                self._connection.execute(_RENAME.format(self._twin(label), sql.Identifier(marked)))
                self._twins[label] = Twin(marked, visible=False)

    def relation(self, label: str) -> RelationName:
        """Where a twin is."""
        return RelationName("pg_temp", self._twins[label].name)

    def read_facts(self) -> dict[str, RelationFacts]:
        """The facts of all twins; their queries are printed with the names they have now."""
        facts = self._read([self._twins[label].name for label in self.oids.values()])
        return {label: facts[self._twins[label].name] for label in self.oids.values()}

    def mean_the_same(self, query: str, standing: str) -> bool:
        """Whether two printed queries mean the same; names given to tables mean nothing.

        PostgreSQL may print a query differently once it has read what it printed: both are read
        and printed again before they are taken for different.
        """
        with self._connection.transaction(force_rollback=True):
            texts = [query, standing]
            for _ in range(2):
                forms = [self._form(number, text) for number, text in enumerate(texts)]
                if None in forms:
                    return False
                found = [form for form in forms if form]
                if found[0]["digest"] == found[1]["digest"]:
                    return True
                texts = [form["printed"] for form in found]
                self._connection.execute(_DROP.format(*map(_form_name, range(2))))
        return False

    def _form(self, number: int, text: str) -> dict[str, str] | None:
        create = _CREATE.format(_form_name(number)) + statements.users(self.shadowed(text).text)
        try:
            with self._connection.transaction():
                statements.execute_one(self._connection, create)
        except psycopg.Error as error:
            statements.require_refusal(error)
            return None  # what stands reads something that is gone: it is another query
        return self._connection.execute(_QUERIES["form"], {"name": _FORMS[number]}).fetchone()

    def shadowed(self, query: str) -> Shadowed:
        """A query as it must be written to read twins."""
        twins = {self._relations[label]: twin for label, twin in self._twins.items()}
        for label, relation in self._renamed.items():
            twins[relation] = Twin(self._twins[label].name, visible=False)
        return shadowed(query, twins)

    def _read_visible(self) -> frozenset[str]:
        parameters = {
            "labels": list(self._relations),
            "schemas": [relation.schema for relation in self._relations.values()],
            "names": [relation.name for relation in self._relations.values()],
        }
        return frozenset(
            row["label"] for row in self._connection.execute(_QUERIES["visible"], parameters)
        )

    def _read_reads(self, name: str) -> tuple[int, Reads]:
        row = self._connection.execute(_QUERIES["reads"], {"name": name}).fetchone()
        assert row is not None  # noqa: S101 - it was created a moment ago
        reads = Reads(
            frozenset(self.oids[oid] for oid in row["reads"] if oid in self.oids),
            frozenset(self._labels[oid] for oid in row["reads"] if oid in self._labels),
        )
        return row["oid"], reads

    def _create_table(self, label: str) -> None:
        table = sql.Identifier("pg_temp", self._table(label))
        self._connection.execute(_CREATE_TABLE.format(table, self._twin(label)))

    def _read(self, names: list[str]) -> dict[str, RelationFacts]:
        row = self._connection.execute(_QUERIES["temporary_schema"]).fetchone()
        if row is None:
            return {}
        relations = [RelationName(row["name"], name) for name in names]
        found = read_facts_of(self._connection, relations)
        return {relation.name: facts for relation, facts in found.items()}

    def _twin(self, label: str) -> sql.Identifier:
        return sql.Identifier("pg_temp", self._twins[label].name)

    def _mark(self, label: str) -> str:
        return mark(self._numbers[label])

    def _table(self, label: str) -> str:
        return f"refresher_table_{self._numbers[label]}_x"


def _form_name(number: int) -> sql.Identifier:
    return sql.Identifier("pg_temp", _FORMS[number])
