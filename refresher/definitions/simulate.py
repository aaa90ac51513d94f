"""What the definitions mean to PostgreSQL: they are created, read back, and rolled back.

Nothing is parsed here. PostgreSQL resolves names and stars, and normalises queries and indexes, so
that what is compared with the catalog is written in the catalog's own words; and whatever it
refuses is found before anything is changed.

A view that stands is created a second time under another name; one that is missing under its own,
so that those that read it can be created in turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from refresher.config.model import Kind, View
from refresher.definitions import statements
from refresher.definitions.facts import read_facts
from refresher.definitions.model import RelationFacts
from refresher.errors import ConfigError
from refresher.graph import Graph
from refresher.names import RelationName, fitted_name
from refresher.postgres import identifiers
from refresher.postgres.failures import describe
from refresher.postgres.sessions import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What stands, and what would stand if the definitions were carried out."""

    order: tuple[str, ...]
    """Every view after those it reads."""
    desired: Mapping[str, RelationFacts]
    standing: Mapping[str, RelationFacts | None]


def simulate(connection: Connection, views: Mapping[str, View]) -> Simulation:
    """Create the definitions in a transaction that is rolled back, and read them.

    Raises:
        ConfigError: PostgreSQL refuses some of them; all are named, each with its file and line.
        PlanError: they read each other in a circle.
    """
    with connection.transaction(force_rollback=True):
        standing = {name: read_facts(connection, view.relation) for name, view in views.items()}
        return _Simulator(connection, views, standing).run()


class _Simulator:
    def __init__(
        self,
        connection: Connection,
        views: Mapping[str, View],
        standing: Mapping[str, RelationFacts | None],
    ) -> None:
        self._connection = connection
        self._views = views
        self._standing = standing
        self._desired: dict[str, RelationFacts] = {}
        self._faults: list[str] = []

    def run(self) -> Simulation:
        waiting = list(self._views)
        while waiting:
            left = [name for name in waiting if not self._settle(name)]
            if len(left) == len(waiting):
                self._explain(left)
                break
            waiting = left
        if self._faults:
            raise ConfigError("\n".join(self._faults))
        return Simulation(
            order=tuple(self._desired), desired=self._desired, standing=self._standing
        )

    def _settle(self, name: str) -> bool:
        """Create one view; False if something it reads is not there (yet)."""
        view = self._views[name]
        relation = view.relation if self._standing[name] is None else _twin(view)
        try:
            with self._connection.transaction():
                statements.execute_one(self._connection, statements.create(view, relation))
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return False
        except psycopg.Error as error:
            self._faults.append(_located(view, relation, error))
            return True
        self._desired[name] = self._read(view, relation)
        return True

    def _read(self, view: View, relation: RelationName) -> RelationFacts:
        names = {}
        if view.kind is Kind.MATERIALIZED_VIEW:
            for number, (name, index) in enumerate(statements.wanted_indexes(view).items()):
                temporary = fitted_name(relation.name, str(number), suffix="simulated")
                names[temporary] = name
                statement = statements.create_index(index, temporary, relation)
                try:
                    with self._connection.transaction():
                        statements.execute_one(self._connection, statement)
                except psycopg.Error as error:
                    self._faults.append(
                        f"{view.query_path}: PostgreSQL refuses the index {name!r} of"
                        f" {view.name!r}: {describe(error)}"
                    )
        facts = read_facts(self._connection, relation)
        assert facts is not None  # noqa: S101 - it was created a moment ago
        indexes = {names.get(name, name): index for name, index in facts.indexes.items()}
        return replace(facts, indexes=indexes)

    def _explain(self, left: list[str]) -> None:
        """Say why these views can't be created: something is missing, or they are a circle.

        With empty views standing in for all of them, what is still missing is none of theirs; with
        one stand-in taken away, whoever misses it reads it.
        """
        missing = {name: self._missing(name, stand_ins=left) for name in left}
        for name, error in missing.items():
            if error is not None:
                self._faults.append(_located(self._views[name], self._views[name].relation, error))
        if self._faults:
            return
        edges = {name: set[str]() for name in left}
        for read in left:
            stand_ins = [name for name in left if name != read]
            for name in left:
                if self._missing(name, stand_ins=stand_ins) is not None:
                    edges[name].add(read)
        circular = {name: frozenset(reads) for name, reads in edges.items()}
        Graph(circular, frozenset()).order()

    def _missing(self, name: str, *, stand_ins: list[str]) -> psycopg.Error | None:
        view = self._views[name]
        with self._connection.transaction(force_rollback=True):
            for stand_in in stand_ins:
                self._connection.execute(
                    sql.SQL("CREATE VIEW {} AS SELECT").format(
                        identifiers.relation(self._views[stand_in].relation)
                    )
                )
            try:
                statements.execute_one(self._connection, statements.create(view, _twin(view)))
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
                return error
            except psycopg.Error:
                return None
        return None


def _twin(view: View) -> RelationName:
    return RelationName(
        view.relation.schema, fitted_name("refresher", view.relation.name, suffix="simulated")
    )


def _located(view: View, relation: RelationName, error: psycopg.Error) -> str:
    """The message with the line of the file that PostgreSQL points at."""
    where = str(view.query_path)
    position = error.diag.statement_position
    if position is not None:
        head = statements.create_head(view, relation).as_string()
        offset = int(position) - 1 - len(head)
        if 0 <= offset <= len(view.query):
            line = view.query.count("\n", 0, offset) + 1
            where = f"{where}:{line}"
    return f"{where}: PostgreSQL refuses the definition of {view.name!r}: {describe(error)}"
