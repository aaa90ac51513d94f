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

from refresher.catalog.introspection import read_graph
from refresher.config.model import Kind, View
from refresher.definitions import statements
from refresher.definitions.facts import read_facts
from refresher.definitions.model import RelationFacts
from refresher.definitions.requirements import require_privileges
from refresher.errors import ConfigError, FailureReason
from refresher.graph import Graph
from refresher.names import RelationName, fitted_name
from refresher.postgres import identifiers
from refresher.postgres.failures import describe, failure_reason
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, hide_store, short_transaction

_QUERIES = load_queries("refresher.definitions", "facts.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What stands, and what would stand if the definitions were carried out."""

    order: tuple[str, ...]
    """Every view after those it would read."""
    graph: Graph
    """Who would read whom."""
    desired: Mapping[str, RelationFacts]
    standing: Mapping[str, RelationFacts | None]


def simulate(connection: Connection, views: Mapping[str, View]) -> Simulation:
    """Create the definitions in a transaction that is rolled back, and read them.

    Raises:
        CatalogError: schemas, roles or privileges are missing that they need.
        ConfigError: PostgreSQL refuses some of them; all are named, each with its file and line.
        PlanError: they read each other in a circle.
        psycopg.Error: the database went away, or does not let us read what they read.
    """
    with short_transaction(connection), connection.transaction(force_rollback=True):
        # From here on nobody else's apply creates what is found missing.
        connection.execute(_QUERIES["serialize_apply"])
        standing = {name: read_facts(connection, view.relation) for name, view in views.items()}
        require_privileges(connection, views, standing)
        hide_store(connection)
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
        simulated = {name: facts.oid for name, facts in self._desired.items()}
        graph = read_graph(self._connection, self._views, simulated=simulated)
        return Simulation(
            order=graph.order(), graph=graph, desired=self._desired, standing=self._standing
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
            _require_refusal(error)
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
                    _require_refusal(error)
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

        With empty views standing in for all that are missing, what a view still misses is none of
        them; with one stand-in taken away, whoever misses it reads it.
        """
        absent = [
            name
            for name, facts in self._standing.items()
            if facts is None and name not in self._desired
        ]
        missing = {name: self._missing(name, stand_ins=absent) for name in left}
        for name, error in missing.items():
            if error is not None:
                self._faults.append(_located(self._views[name], _twin(self._views[name]), error))
        if self._faults:
            return
        edges = {name: set[str]() for name in left}
        for read in left:
            stand_ins = [name for name in absent if name != read]
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
            except psycopg.Error as error:
                _require_refusal(error)
        return None


def _twin(view: View) -> RelationName:
    return RelationName(
        view.relation.schema, fitted_name("refresher", view.relation.name, suffix="simulated")
    )


_REFUSALS = frozenset(
    {
        FailureReason.DEFINITION,
        FailureReason.NOT_UNIQUE,
        FailureReason.OTHER,
        FailureReason.PERMISSION,
    }
)


def _require_refusal(error: psycopg.Error) -> None:
    """Raise an error that is no definition's fault: a timeout, a lost connection, a full disk."""
    if failure_reason(error) not in _REFUSALS:
        raise error


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
