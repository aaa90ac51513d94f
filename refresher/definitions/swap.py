"""Exchanging what was built beside for what stands, in one short transaction.

    1  lock everything that changes, readers' order: a view before what it reads; 0.25 s in all
    2  see that everything still is what the plan was made for
    3  what stands steps aside; what was built takes the names
    4  re-point plain views and whatever else depends on the names
    5  drop what stepped aside: never with CASCADE, so that nobody's object goes unseen; give what
       came the names of its indexes, and all that belonged to what went
    6  comments, records; COMMIT

Readers wait for steps 1 to 6 at the most. A lock that isn't had in time rolls back to before step
1 and is asked for again: with a longer wait it would be a reader whom PostgreSQL ends as victim of
the deadlock. Replacing all dependents first, leaf by leaf, never succeeded under readers.

The fences of the views are held all the time from before they are filled, in this transaction, so
that no refresh gets newer contents into what is about to be dropped.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from refresher.definitions import index_statements, statements
from refresher.definitions.affected import is_changed
from refresher.definitions.beside import Building, Built
from refresher.definitions.dependents import Dependent, read_dependents, read_own
from refresher.definitions.facts import read_facts_of
from refresher.definitions.marks import free_name
from refresher.definitions.model import RelationFacts, Subject
from refresher.definitions.naming import ASIDE
from refresher.definitions.patience import persist
from refresher.definitions.step import Swap
from refresher.errors import CatalogError, PlanError
from refresher.names import RelationName, query_name
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, set_local
from refresher.runs import Run
from refresher.store.definition import record_change

_QUERIES = load_queries("refresher.definitions", "swap.sql")

_ALL_LOCKS_SECONDS = 0.25
_FURTHER_LOCKS = "100ms"


def has_empty_statistics(connection: Connection, relation: RelationName) -> bool:
    """Whether an exchange gave a relation statistics objects that nothing has filled yet."""
    name = {"relation": str(relation)}
    row = connection.execute(_QUERIES["extended_statistics"], name).fetchone()
    return bool(row and row["present"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanging:
    """One swap, once everything is built."""

    connection: Connection
    """In the transaction that holds the fences."""
    step: Swap
    subjects: Mapping[str, Subject]
    building: Building

    def exchange(self, waiting: Callable[[], None]) -> list[Run]:
        """Exchange; returns the runs that filled what readers see now.

        Raises:
            CatalogError: something changed since the plan was made, or is in use all the time.
            PlanError: something came to depend on what goes, and can't be re-pointed.
            psycopg.Error: whatever PostgreSQL says.
        """

        def attempt() -> list[Run]:
            with self.connection.transaction():
                self._lock()
                self._require_unchanged()
                return self._exchange()

        return persist(attempt, waiting=waiting)

    def _standing(self) -> dict[str, RelationFacts]:
        """What stands of all that changes, as readers lock it: a view before what it reads."""
        labels = {*self.step.beside, *self.step.repointed, *self._dropped_views()}
        reads = {label: self.subjects[label].read & labels for label in self.subjects}
        order = [label for label in TopologicalSorter(reads).static_order() if label in labels]
        return {
            label: standing
            for label in reversed(order)
            if (standing := self.subjects[label].standing) is not None
        }

    def _dropped_views(self) -> list[str]:
        return [label for label in self.subjects if label in self.step.dropped]

    def _relation(self, label: str) -> RelationName:
        return self.subjects[label].view.relation

    def _lock(self) -> None:
        until = time.monotonic() + _ALL_LOCKS_SECONDS
        for label, standing in self._standing().items():
            left = max(1, round((until - time.monotonic()) * 1000))
            self.connection.execute(set_local("lock_timeout", f"{left}ms"))
            # Giving a view to its owner changes nothing; LOCK TABLE refuses a materialized view,
            # and of a plain one it would lock every table, too.
            self.connection.execute(
                statements.set_owner(standing.kind, self._relation(label), standing.owner)
            )
        self.connection.execute(set_local("lock_timeout", _FURTHER_LOCKS))

    def _require_unchanged(self) -> None:
        standing = self._standing()
        found = read_facts_of(self.connection, [self._relation(label) for label in standing])
        for label, before in standing.items():
            now = found.get(self._relation(label))
            if now is None or (now.oid, now.query, now.columns) != (
                before.oid,
                before.query,
                before.columns,
            ):
                message = f"{label} was changed by somebody else meanwhile; apply again"
                raise CatalogError(message)

    def _exchange(self) -> list[Run]:
        standing = self._standing()
        going = {label: standing[label] for label in standing if label in self.step.beside}
        dependents = self._read_dependents(standing)
        own = [
            statement
            for label in self.step.beside
            if label in going
            for statement in self._read_own(label, going[label])
        ]
        self._drop_allowed(standing, dependents)
        aside = {label: self._step_aside(label, facts) for label, facts in going.items()}
        for built, label in self._built():
            name = self._relation(label).name
            self.connection.execute(statements.rename(built.kind, built.relation, name))
        self._repoint(dependents)
        tables = [self._relation(label) for label, facts in going.items() if facts.query_oid]
        for relation in tables:
            self.connection.execute(statements.drop_query(relation))
        for label, relation in aside.items():
            self.connection.execute(statements.drop(going[label].kind, relation))
        self._name_queries()
        self._name_indexes()
        for statement in own:
            self.connection.execute(statements.users(statement))
        self._finish()
        fillings = self.building.fillings.values()
        return [filling.succeed(self.connection) for filling in fillings]

    def _built(self) -> Iterator[tuple[Built, str]]:
        for label in self.step.beside:
            yield self.building.built[label], label

    def _read_dependents(self, standing: Mapping[str, RelationFacts]) -> list[Dependent]:
        labels = {
            facts.oid: label
            for label, facts in standing.items()
            if label in self.step.beside or label in self.step.dropped
        }
        found = read_dependents(self.connection, labels)
        # What belongs to a relation that goes is made again with the relation.
        others = [each for each in found if each.part_of not in labels]
        stuck = [
            each.name
            for each in found
            if (each in others or each.statement is not None)
            and each.name not in self.step.dropped
            and each.problem(labels[each.relation], self._columns(labels[each.relation]))
        ]
        if stuck:
            message = f"{', '.join(stuck)} came to depend on what goes meanwhile; plan again"
            raise PlanError(message)
        return others

    def _columns(self, label: str) -> list[str] | None:
        """The columns of what comes, if anything does."""
        desired = self.subjects[label].desired
        return None if desired is None else [name for name, _ in desired.columns]

    def _read_own(self, label: str, standing: RelationFacts) -> list[str]:
        return read_own(
            self.connection,
            standing.oid,
            self._columns(label) or [],
            self.building.built[label].indexes.values(),
            column_grants=self.subjects[label].view.grants is None,
            dropped=self.step.dropped,
        )

    def _drop_allowed(
        self, standing: Mapping[str, RelationFacts], dependents: Sequence[Dependent]
    ) -> None:
        for drop in {each.name: each.drop for each in dependents if self._may_drop(each)}.values():
            self.connection.execute(statements.users(drop))
        for label in standing:
            if label in self.step.dropped:
                relation = self._relation(label)
                self.connection.execute(statements.drop(standing[label].kind, relation))

    def _may_drop(self, dependent: Dependent) -> bool:
        return dependent.name in self.step.dropped

    def _step_aside(self, label: str, standing: RelationFacts) -> RelationName:
        relation = self._relation(label)
        aside = free_name(self.connection, relation, ASIDE)
        self.connection.execute(statements.rename(standing.kind, relation, aside.name))
        return aside

    def _repoint(self, dependents: Sequence[Dependent]) -> None:
        for label in self.step.repointed:
            subject = self.subjects[label]
            assert subject.template is not None  # noqa: S101 - what stays has a query
            assert subject.desired is not None  # noqa: S101 - and so it has facts
            replaced = statements.create(
                "v",
                self._relation(label),
                subject.template.query(self._relation),
                subject.desired.options,
                replace=True,
            )
            statements.execute_one(self.connection, replaced)
        for dependent in dependents:
            if dependent.statement is not None and not self._may_drop(dependent):
                self.connection.execute(statements.users(dependent.statement))

    def _name_queries(self) -> None:
        for built, label in self._built():
            if built.kind == "r":
                before, after = query_name(built.relation), query_name(self._relation(label))
                self.connection.execute(statements.rename("v", before, after.name))

    def _name_indexes(self) -> None:
        for built, label in self._built():
            for temporary, name in built.indexes.items():
                index = RelationName(self._relation(label).schema, temporary)
                self.connection.execute(index_statements.rename_index(index, name))

    def _finish(self) -> None:
        for built, label in self._built():
            relation = self._relation(label)
            desired = self.subjects[label].desired
            comment = desired.comment if desired else None
            self.connection.execute(statements.set_comment(built.kind, relation, comment))
        managed = {
            label: self.subjects[label].view
            for label in (*self.step.beside, *self.step.repointed)
            if self.subjects[label].managed
        }
        record_change(
            self.connection,
            managed,
            changed=[label for label in managed if is_changed(self.subjects[label])],
            built=[label for label in managed if label in self.step.beside],
        )
