"""Carrying out single steps. Each leaves either nothing or its whole effect behind.

What a step that was cut off leaves (an invalid index, a relation built beside) the next apply finds
and drops.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

import psycopg

from refresher.definitions import index_statements, statements
from refresher.definitions.beside import Building
from refresher.definitions.creating import create, replace_query
from refresher.definitions.dressing import dress, require_facts
from refresher.definitions.facts import read_facts
from refresher.definitions.fences import fenced, take_fences
from refresher.definitions.indexing import create_index, drop_index
from refresher.definitions.model import RelationFacts, Subject
from refresher.definitions.patience import LOCK_TIMEOUT, persist
from refresher.definitions.populate import Populator
from refresher.definitions.simulation import Simulation
from refresher.definitions.step import (
    Alter,
    Create,
    CreateIndex,
    Drop,
    DropIndex,
    Populate,
    Refresh,
    Rename,
    Replace,
    Step,
    Swap,
    Widen,
)
from refresher.definitions.swap import Exchanging, has_empty_statistics
from refresher.errors import CatalogError, PlanError
from refresher.events import RunFinished
from refresher.names import RelationName
from refresher.postgres.failures import describe
from refresher.postgres.sessions import Connection, set_local, short_transaction
from refresher.store import definition as store

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """Carries out the steps of one plan."""

    populator: Populator
    simulation: Simulation
    keep_indexes: bool
    """Whether indexes that nobody configured go along when a view is built anew."""
    former: Mapping[str, RelationName]
    """Where views stand that are to be renamed or dropped."""
    tell: Tell
    """Told what goes on, again and again while something is waited for; what it raises ends the
    apply there."""

    def carry_out(self, step: Step) -> str | None:
        """Do one step; returns what there is to say about it.

        Raises:
            RefresherError: it can't be done; says what to do next.
            psycopg.Error: whatever PostgreSQL says.
        """
        label = step.views[0]
        match step:
            case Swap():
                return self._swap(step)
            case Populate() | Refresh():
                return self._fill(step, label)
            case Alter():
                return self._alter(label)
            case Rename():
                self._rename(step, label)
            case Create():
                self._create(label)
            case Replace():
                self._replace(label)
            case Widen():
                self._widen(step, label)
            case CreateIndex() | DropIndex():
                self._index(step, label)
            case Drop():
                self._drop(step, label)
            case other:
                assert_never(other)
        return None

    def _fill(self, step: Populate | Refresh, label: str) -> str | None:
        self.tell(f"{label}: filling it")
        view = self._subject(label).view
        if view.fills is not None:
            self._take_over(label)
        if isinstance(step, Populate):
            return self.populator.populate(view, self.simulation.graph)
        return self.populator.refresh(view, self.simulation.graph)

    def _take_over(self, label: str) -> None:
        """Whoever is filling it computed that before, perhaps: what is left is not theirs."""
        waiting = f"{label}: waiting for the end of a refresh"
        with fenced(self.populator.session, [label], lambda: self.tell(waiting)):
            pass

    def _index(self, step: CreateIndex | DropIndex, label: str) -> None:
        session, subject = self.populator.session, self._subject(label)
        if isinstance(step, CreateIndex):
            create_index(session, subject, step, self.tell)
        else:
            drop_index(session, subject, step, self.tell)

    def analyze(self, label: str) -> None:
        """Gather statistics of a view whose contents or indexes are new."""
        self.tell(f"{label}: analyzing it")
        view, session = self._subject(label).view, self.populator.session
        connection = session.connection()
        with connection.transaction():
            connection.execute(session.local_settings(view.timeouts))
            connection.execute(statements.analyze(view.relation))

    def _subject(self, label: str) -> Subject:
        return self.simulation.subjects[label]

    def _desired(self, label: str) -> RelationFacts:
        desired = self._subject(label).desired
        assert desired is not None  # noqa: S101 - what has steps has a definition
        return desired

    def _query(self, label: str) -> str:
        template = self._subject(label).template
        assert template is not None  # noqa: S101 - what has steps has a definition
        return template.query(lambda read: self._subject(read).view.relation)

    def _persist(self, label: str, act: Callable[[Connection], object]) -> None:
        """Do something to a view that readers may be reading."""
        connection = self.populator.session.connection()

        def attempt() -> None:
            with short_transaction(connection):
                connection.execute(set_local("lock_timeout", LOCK_TIMEOUT))
                act(connection)

        persist(attempt, waiting=lambda: self.tell(f"{label}: waiting for those who use it"))

    def _rename(self, step: Rename, label: str) -> None:
        before, after = self.former[label], self._subject(label).view.relation
        kind = self._desired(label).kind
        waiting = f"{label}: waiting for those who use {before}"
        with fenced(
            self.populator.session, [step.before], lambda: self.tell(waiting)
        ) as connection:

            def attempt() -> None:
                with connection.transaction():
                    connection.execute(set_local("lock_timeout", LOCK_TIMEOUT))
                    for statement in statements.move(kind, before, after):
                        connection.execute(statement)
                    connection.execute(statements.drop_stage(step.before))
                    store.rename(connection, step.before, label)

            persist(attempt, waiting=lambda: self.tell(waiting))

    def _create(self, label: str) -> None:
        self.tell(f"{label}: creating it")
        relation, desired = self._subject(label).view.relation, self._desired(label)
        connection = self.populator.session.connection()
        try:
            with short_transaction(connection):
                create(connection, relation, self._query(label), desired)
                for name, index in desired.indexes.items():
                    if index.primary:
                        for statement in index_statements.standing_index(index, name, relation):
                            connection.execute(statement)
                dress(connection, relation, desired)
                if desired.comment is not None:
                    comment = statements.set_comment(desired.kind, relation, desired.comment)
                    connection.execute(comment)
        except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject) as error:
            message = f"{describe(error)}: somebody created it meanwhile; apply again"
            raise CatalogError(message) from error

    def _replace(self, label: str) -> None:
        self.tell(f"{label}: replacing its query")
        subject, desired = self._subject(label), self._desired(label)
        relation = subject.view.relation
        replace = statements.create(
            "v", relation, self._query(label), desired.options, replace=True
        )

        def act(connection: Connection) -> None:
            self._require_unchanged(connection, subject)
            statements.execute_one(connection, replace)
            if subject.view.fills is not None:
                connection.execute(statements.set_comment("v", relation, desired.comment))
            store.record_change(connection, {label: subject.view}, changed=[label])

        self._persist(label, act)

    def _widen(self, step: Widen, label: str) -> None:
        self.tell(f"{label}: widening its columns")
        subject, desired = self._subject(label), self._desired(label)
        relation, query = subject.view.relation, self._query(label)
        waiting = f"{label}: waiting for those who use it"
        with fenced(self.populator.session, [label], lambda: self.tell(waiting)) as connection:

            def attempt() -> None:
                with connection.transaction():
                    connection.execute(set_local("lock_timeout", LOCK_TIMEOUT))
                    self._require_unchanged(connection, subject)
                    for column, type_ in step.columns:
                        connection.execute(statements.set_type(relation, column, type_))
                    replace_query(connection, relation, query, desired)
                    store.record_change(connection, {label: subject.view}, changed=[label])

            persist(attempt, waiting=lambda: self.tell(waiting))

    @staticmethod
    def _require_unchanged(connection: Connection, subject: Subject) -> None:
        standing = require_facts(connection, subject.view.relation)
        if subject.standing is None or standing.query != subject.standing.query:
            message = f"{subject.label} was changed by somebody else meanwhile; apply again"
            raise CatalogError(message)

    def _alter(self, label: str) -> str:
        relation, desired = self._subject(label).view.relation, self._desired(label)
        done: list[str] = []
        self.tell(f"{label}: owner, grants, comment, options")

        def act(connection: Connection) -> None:
            done[:] = dress(connection, relation, desired)
            if require_facts(connection, relation).comment != desired.comment:
                connection.execute(statements.set_comment(desired.kind, relation, desired.comment))
                done.append("comment")

        self._persist(label, act)
        return ", ".join(done)

    def _swap(self, step: Swap) -> str:
        session = self.populator.session
        subjects = self.simulation.subjects
        building = Building(
            session=session,
            subjects=subjects,
            graph=self.simulation.graph,
            emit=self.populator.emit,
            keep_indexes=self.keep_indexes,
        )
        names = ", ".join(step.beside)
        filled, readers = self._filled(step)

        def waiting() -> None:
            self.tell(f"{names}: waiting for the end of a refresh")

        try:
            with fenced(session, filled, waiting) as connection:
                for label in step.beside:
                    building.build(label, self.tell)
                # A refresh of ours reads for as long as it takes, and the next one follows.
                take_fences(connection, session, readers, waiting)
                self.tell(f"{names}: exchanging")
                exchanging = Exchanging(
                    connection=connection, step=step, subjects=subjects, building=building
                )
                runs = exchanging.exchange(
                    lambda: self.tell(f"{names}: waiting for readers, who come first")
                )
        except BaseException as error:
            building.abandon(None if self.populator.cancelled.is_set() else error)
            raise
        for run in runs:
            self.populator.emit(RunFinished(database=session.endpoint.alias, run=run))
        for label in filled:
            if has_empty_statistics(session.connection(), subjects[label].view.relation):
                self.analyze(label)
        rows = sum(run.rows or 0 for run in runs)
        return f"{rows:,} {'row' if rows == 1 else 'rows'}" if runs else "no contents"

    def _filled(self, step: Swap) -> tuple[list[str], list[str]]:
        """Views that an exchange fills, and those whose refreshes read what is exchanged."""
        graph = self.simulation.graph
        filled = [label for label in step.beside if label in graph.refreshed]
        exchanged = [label for label in step.views if label in graph.reads]
        reached = frozenset[str]().union(*map(graph.all_downstreams, exchanged))
        return filled, sorted((reached & graph.refreshed).difference(filled))

    def _drop(self, step: Drop, label: str) -> None:
        self.tell(f"{label}: dropping it")

        def act(connection: Connection) -> None:
            # An exchange may have dropped it already, since it would not have worked any more.
            if read_facts(connection, self.former[label]) is not None:
                connection.execute(statements.drop(step.relation_kind, self.former[label]))
                connection.execute(statements.drop_stage(label))
            store.forget(connection, label)

        try:
            self._persist(label, act)
        except psycopg.errors.DependentObjectsStillExist as error:
            message = (
                f"something depends on {self.former[label]}: change that first;"
                f" `refresher destroy {label}` tells what it is, and may drop it, too"
            )
            raise PlanError(message) from error
