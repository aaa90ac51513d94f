"""Building views beside those that stand, with all that belongs to them but their names."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psycopg

from refresher.catalog.introspection import read_target
from refresher.definitions import index_statements, statements
from refresher.definitions.creating import create
from refresher.definitions.dressing import dress
from refresher.definitions.filling import Filling, computing
from refresher.definitions.marks import free_name, mark_comment
from refresher.definitions.model import IndexFacts, RelationFacts, Subject
from refresher.definitions.naming import BESIDE
from refresher.definitions.uniqueness import repeats_explained
from refresher.events import Listener
from refresher.graph import Graph
from refresher.names import RelationName
from refresher.postgres.sessions import connect, short_transaction
from refresher.refresh import full
from refresher.refresh.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A view that was built beside another one."""

    relation: RelationName
    kind: str
    indexes: Mapping[str, str]
    """The names its indexes have, and those they are to get."""


@dataclass(slots=True, kw_only=True)
class Building:
    """Views that are built beside, one after the other, each reading those built before it."""

    session: Session
    subjects: Mapping[str, Subject]
    graph: Graph
    emit: Listener
    keep_indexes: bool
    """Whether indexes that stand and are not configured are built, too."""
    built: dict[str, Built] = field(default_factory=dict)
    fillings: dict[str, Filling] = field(default_factory=dict)

    def build(self, label: str, tell: Callable[[str], None]) -> None:
        """Create, fill, check, index and analyze one view beside what stands.

        Raises:
            RefreshError: a check is broken.
            CatalogError: something else has a name that is needed.
            psycopg.Error: whatever PostgreSQL says.
        """
        subject = self.subjects[label]
        desired = subject.desired
        assert desired is not None  # noqa: S101 - what is built has a definition
        connection = self.session.connection()
        relation = free_name(connection, subject.view.relation, BESIDE)
        tell(f"{label}: creating it beside")
        self._create(subject, desired, relation)
        self.built[label] = Built(relation=relation, kind=desired.kind, indexes={})
        if desired.has_contents and self._is_filled(subject):
            tell(f"{label}: filling it beside")
            self._fill(subject, relation)
            indexes = self._index(subject, desired, relation, tell)
            self.built[label] = Built(relation=relation, kind=desired.kind, indexes=indexes)
            tell(f"{label}: analyzing it beside")
            with connection.transaction():
                self._allow_long_work(subject)
                connection.execute(statements.analyze(relation))

    def name(self, label: str) -> RelationName:
        """What is read in a view's place while building."""
        if label in self.built:
            return self.built[label].relation
        return self.subjects[label].view.relation

    def abandon(self, error: BaseException | None) -> None:
        """Drop what was built, and record that it came to nothing; None: it was cancelled.

        What can't be dropped now, the next apply drops.
        """
        # Whoever cancels does so again and again, and is not to cancel this.
        self.session.discard()
        application = f"refresher {self.session.worker}"
        with connect(self.session.endpoint, application=application) as connection:
            for filling in self.fillings.values():
                filling.fail(connection, error)
            for label in reversed(list(self.built)):
                built = self.built.pop(label)
                # It may have been exchanged: nobody heard whether it was committed.
                with contextlib.suppress(psycopg.errors.UndefinedTable):
                    connection.execute(statements.drop(built.kind, built.relation))

    def _create(self, subject: Subject, desired: RelationFacts, relation: RelationName) -> None:
        connection = self.session.connection()
        assert subject.template is not None  # noqa: S101 - what is built has a query
        query = subject.template.query(self.name)
        kind = desired.kind
        standing = subject.standing
        with short_transaction(connection):
            if standing is not None and standing.access_method is not None:
                connection.execute(statements.default_tablespace(standing.tablespace))
                connection.execute(statements.default_access_method(standing.access_method))
            create(connection, relation, query, desired)
            connection.execute(
                statements.set_comment(kind, relation, mark_comment(subject.view.relation))
            )
            dress(connection, relation, desired)

    @staticmethod
    def _is_filled(subject: Subject) -> bool:
        return subject.managed or (subject.standing is not None and subject.standing.populated)

    def _fill(self, subject: Subject, relation: RelationName) -> None:
        if not subject.managed:
            connection = self.session.connection()
            target = read_target(connection, relation)
            assert target is not None  # noqa: S101 - it was created a moment ago
            with computing(self.session, subject.view, target):
                full.refresh(connection, relation)
            return
        filling = Filling(
            session=self.session,
            view=subject.view,
            relation=relation,
            standing=subject.standing.oid if subject.standing else None,
            upstreams=self.graph.refreshed_upstreams(subject.label),
            emit=self.emit,
        )
        self.fillings[subject.label] = filling
        filling.fill({name: each for name, each in self.fillings.items() if each.as_of})

    def _index(
        self,
        subject: Subject,
        desired: RelationFacts,
        relation: RelationName,
        tell: Callable[[str], None],
    ) -> dict[str, str]:
        names = {}
        for name, index in desired.indexes.items():
            tell(f"{subject.label}: index {name} beside")
            names[self._create_index(subject, relation, name, index)] = name
        for name, index in self._extra(subject, desired).items():
            # One on a column that is gone goes with it, as PostgreSQL would have it.
            with contextlib.suppress(psycopg.errors.UndefinedColumn):
                names[self._create_index(subject, relation, name, index)] = name
        return names

    def _extra(self, subject: Subject, desired: RelationFacts) -> dict[str, IndexFacts]:
        """Indexes that stand, that nobody configured, and that stay nevertheless."""
        if subject.standing is None or not self.keep_indexes:
            return {}
        known = set(desired.indexes.values())
        return {
            name: index
            for name, index in subject.standing.indexes.items()
            if index not in known and name not in desired.indexes and not index.primary
        }

    def _create_index(
        self, subject: Subject, relation: RelationName, name: str, index: IndexFacts
    ) -> str:
        connection = self.session.connection()
        temporary = free_name(connection, RelationName(relation.schema, name), BESIDE).name
        with repeats_explained(subject.label, name, index), connection.transaction():
            self._allow_long_work(subject)
            connection.execute(statements.default_tablespace(index.tablespace))
            for statement in index_statements.standing_index(index, temporary, relation):
                statements.execute_one(connection, statement)
        return temporary

    def _allow_long_work(self, subject: Subject) -> None:
        """Grant work on a view's contents the time and the memory its refreshes get."""
        settings = self.session.local_settings(subject.view.timeouts)
        self.session.connection().execute(settings)
