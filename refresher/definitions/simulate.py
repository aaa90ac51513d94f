"""What the definitions mean to PostgreSQL: they are created, read back, and rolled back.

Nothing is parsed here. PostgreSQL resolves names and stars, and normalises queries and indexes, so
that what is compared with the catalog is written in the catalog's own words; and whatever it
refuses is found before anything is changed. Nothing that stands is locked: each definition is
created as a temporary view, and those that read it read that one.

Views that nobody manages but that read those that are managed are simulated, too, from what stands:
they must go on working.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import psycopg

from refresher.catalog.introspection import read_graph
from refresher.config.model import Kind, View
from refresher.definitions import statements
from refresher.definitions.completed import completed
from refresher.definitions.dependents import read_reads, read_unreadable, unmanaged_readers
from refresher.definitions.facts import read_facts_of
from refresher.definitions.fillable import read_back, refused_when_filled
from refresher.definitions.model import (
    IndexFacts,
    RelationFacts,
    Subject,
    stands_as_desired,
)
from refresher.definitions.order import likely_order
from refresher.definitions.refusals import explain
from refresher.definitions.requirements import require_privileges
from refresher.definitions.restricted import refused_when_refreshed
from refresher.definitions.simulation import Simulation
from refresher.definitions.template import Template
from refresher.definitions.twins import Reads, Twins
from refresher.definitions.wanted import read_wanted_indexes
from refresher.errors import ConfigError
from refresher.graph import Graph
from refresher.names import RelationName
from refresher.postgres.failures import describe
from refresher.postgres.sessions import Connection, hide_store, short_transaction


def simulate(
    connection: Connection,
    views: Mapping[str, View],
    *,
    renamed: Mapping[str, RelationName] = MappingProxyType({}),
) -> Simulation:
    """Create the definitions in a transaction that is rolled back, and read them.

    Args:
        connection: where they are to be.
        views: all managed views of that database.
        renamed: where views stand whose relation is to be renamed, by their new name.

    Raises:
        CatalogError: schemas, roles or privileges are missing that they need.
        ConfigError: PostgreSQL refuses some of them; all are named, each with its file and line.
        PlanError: they read each other in a circle.
        psycopg.Error: the database went away, or does not let us read what they read.
    """
    with short_transaction(connection), connection.transaction(force_rollback=True):
        places = {name: renamed.get(name, view.relation) for name, view in views.items()}
        found = read_facts_of(connection, list(places.values()))
        standing = {name: found.get(place) for name, place in places.items()}
        require_privileges(connection, views, standing)
        others = unmanaged_readers(
            connection, [facts for facts in standing.values() if facts and facts.is_view]
        )
        hide_store(connection)
        subjects = [
            Subject(label=name, view=view, managed=True, standing=standing[name], desired=None)
            for name, view in views.items()
        ]
        return _Simulator(connection, views, [*subjects, *others], renamed).run()


class _EarlyError(Exception):
    """Unwinds the creation of a twin before the turn of those it reads."""


class _Simulator:
    def __init__(
        self,
        connection: Connection,
        views: Mapping[str, View],
        subjects: list[Subject],
        renamed: Mapping[str, RelationName],
    ) -> None:
        self._connection = connection
        self._views = views
        self._subjects = {subject.label: subject for subject in subjects}
        self._oids = {
            subject.standing.oid: subject.label
            for subject in subjects
            if subject.standing and subject.standing.is_view
        }
        self._twins = Twins(
            connection,
            {subject.label: subject.view.relation for subject in subjects},
            {label: oid for oid, label in self._oids.items()},
            renamed,
        )
        self._reads: dict[str, frozenset[str]] = {}
        self._problems: dict[str, str] = {}
        self._faults: list[str] = []

    def run(self) -> Simulation:
        left = self._create_all(likely_order(self._subjects))
        for label in left:
            if not self._subjects[label].managed:
                self._problems.setdefault(label, "what it reads would not be there any more")
        managed = [label for label in left if self._subjects[label].managed]
        self._faults += explain(self._connection, self._twins, self._views, managed)
        self._faults += self._victims(managed)
        built = {label: view for label, view in self._views.items() if label in self._reads}
        indexes, refused = read_wanted_indexes(self._twins, built)
        self._faults += refused
        if self._faults:
            raise ConfigError("\n".join(sorted(set(self._faults))))
        return self._result(indexes)

    def _create_all(self, labels: list[str]) -> list[str]:
        """Create twins until no more can be created; returns those that are left."""
        waiting = labels
        while waiting:
            left = [label for label in waiting if not self._settle(label)]
            if len(left) == len(waiting):
                return left
            waiting = left
        return []

    def _settle(self, label: str) -> bool:
        """Create one twin; False if what it reads has none yet, or it can't be created (yet)."""
        subject = self._subjects[label]
        try:
            with self._connection.transaction():
                reads = self._twins.create(label, subject.view.query)
                self._require_turn(reads)
        except _EarlyError:
            self._twins.forget(label)
            return False
        except psycopg.Error as error:
            statements.require_refusal(error)
            self._problems[label] = describe(error)
            return False
        self._problems.pop(label, None)
        self._reads[label] = reads.twins | reads.standing
        return True

    def _require_turn(self, reads: Reads) -> None:
        """Make sure that nothing is read as it stands that comes to be another."""
        if not reads.standing <= self._reads.keys():
            raise _EarlyError

    def _victims(self, left: list[str]) -> list[str]:
        """Definitions that read an unmanaged view which would not work any more."""
        broken = {label for label in self._problems if not self._subjects[label].managed}
        faults: list[str] = []
        if self._faults or not broken:
            return faults
        for label in left:
            reads = self._twins.probe(self._views[label].query)
            faults += [
                f"{self._views[label].query_path}: {label!r} reads {other}, which is not managed"
                f" and would not work any more: {self._problems[other]}"
                for other in sorted(reads.standing & broken)
            ]
        return faults

    def _result(self, indexes: Mapping[str, Mapping[str, IndexFacts]]) -> Simulation:
        graph = read_graph(
            self._connection,
            self._views,
            simulated={
                label: oid for oid, label in self._twins.oids.items() if label in self._views
            },
            unmanaged={
                oid: self._subjects[label].view.relation
                for oid, label in self._twins.oids.items()
                if label not in self._views and self._subjects[label].view.refreshed
            },
        )
        self._twins.mark_all()
        facts = self._twins.read_facts()
        standing = {
            label: subject.standing
            for label, subject in self._subjects.items()
            if subject.standing and subject.standing.is_view
        }
        read = read_reads(self._connection, standing)
        names = {label: subject.view.relation for label, subject in self._subjects.items()}
        subjects = {}
        for label in self._reads:
            template = Template(facts[label].query, self._twins.labels)
            subject = self._subjects[label]
            shown = replace(
                facts[label],
                query=template.query(names.__getitem__),
                # A whole row of a view has a type that goes by the view's name.
                columns=tuple(
                    (column, Template(type_, self._twins.labels).query(names.__getitem__))
                    for column, type_ in facts[label].columns
                ),
            )
            desired = completed(subject, shown, indexes.get(label), self._connection.info.user)
            if self._means_the_same(subject, desired, template) and subject.standing:
                desired = replace(desired, query=subject.standing.query)
            subjects[label] = replace(
                subject,
                desired=desired,
                template=template,
                reads=self._reads[label],
                read=read.get(label, frozenset()),
            )
        for label, problem in self._problems.items():
            subjects[label] = replace(
                self._subjects[label], problem=problem, read=read.get(label, frozenset())
            )
        self._require_refreshable(subjects, graph)
        twins = {label: oid for oid, label in self._twins.oids.items()}
        return Simulation(
            order=graph.order(),
            graph=graph,
            subjects=subjects,
            unreadable=read_unreadable(self._connection, subjects, twins),
        )

    def _require_refreshable(self, subjects: Mapping[str, Subject], graph: Graph) -> None:
        """Make sure that what is to be filled can be: PostgreSQL 17's search_path is enough for it.

        Raises:
            ConfigError: it is not.
        """
        twins = {label: oid for oid, label in self._twins.oids.items()}
        faults = []
        for label, view in self._views.items():
            if view.fills is not None:
                twin = self._twins.relation(label)
                refusals = refused_when_filled(self._connection, view, view.fills, twin)
                refusals += filter(None, [read_back(graph, view)])
                faults += [f"{view.query_path}: {label!r}: {problem}" for problem in refusals]
            if view.kind is Kind.MATERIALIZED_VIEW and not stands_as_desired(subjects[label]):
                refused = refused_when_refreshed(self._connection, subjects, label, twins[label])
                if refused is not None:
                    faults.append(f"{view.query_path}: {label!r} can't be refreshed: {refused}")
        if faults:
            raise ConfigError("\n".join(sorted(faults)))

    def _means_the_same(self, subject: Subject, desired: RelationFacts, template: Template) -> bool:
        standing = subject.standing
        if standing is None or standing.kind != desired.kind or standing.query == desired.query:
            return False
        if standing.columns != desired.columns:
            return False
        return self._twins.mean_the_same(template.text, standing.query)
