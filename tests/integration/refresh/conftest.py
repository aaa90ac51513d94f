"""A workshop: a database with sources and views, and attempts at refreshing them."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from refresher.catalog.introspection import read_graph
from refresher.config.model import Fills, Kind, View
from refresher.events import Event
from refresher.names import RelationName, columns_query_name, query_name
from refresher.postgres import identifiers, sessions
from refresher.refresh.attempt import Attempt
from refresher.refresh.session import Session
from refresher.refresh.task import Ended, NotBegun, Obstacle, Result, Task
from refresher.runs import Run, Trigger
from refresher.store.registry import register
from refresher.store.state import ViewState, read_clock, read_history, read_states


@dataclass
class Workshop:
    """What a test of refreshes needs; `session` is the worker's."""

    endpoint: sessions.Endpoint
    connection: sessions.Connection
    session: Session
    views: dict[str, View] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    max_parallel: int = 4

    def execute(self, statement: str) -> list[dict[str, Any]]:
        cursor = self.connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def view(self, name: str, query: str, *, index: str | None = "id", **fields: Any) -> View:
        """Create a materialized view, unpopulated, and make it known."""
        relation = RelationName("public", name)
        identifier = sql.Identifier("public", name)
        self.connection.execute(
            sql.SQL("CREATE MATERIALIZED VIEW {} AS {} WITH NO DATA").format(
                identifier, sql.SQL(query)
            )
        )
        if index is not None:
            self.connection.execute(
                sql.SQL("CREATE UNIQUE INDEX ON {} ({})").format(identifier, sql.Identifier(index))
            )
        self.views[name] = View(
            name=name,
            database="test",
            relation=relation,
            kind=Kind.MATERIALIZED_VIEW,
            query=query,
            query_path=Path(f"{name}.sql"),
            **fields,
        )
        self.register()
        return self.views[name]

    def table(
        self, name: str, query: str, *, key: tuple[str, ...] = ("id",), **fields: Any
    ) -> View:
        """Create a maintained table as an apply would, empty, and make it known."""
        relation = RelationName("public", name)
        kept, table = map(identifiers.relation, (query_name(relation), relation))
        for statement in (
            sql.SQL("CREATE VIEW {} AS {}").format(kept, sql.SQL(query)),
            sql.SQL("CREATE TABLE {} AS TABLE {} WITH NO DATA").format(table, kept),
            sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(table, identifiers.columns(key)),
        ):
            self.connection.execute(statement)
        self.views[name] = View(
            name=name,
            database="test",
            relation=relation,
            kind=Kind.TABLE,
            query=query,
            query_path=Path(f"{name}.sql"),
            key=key,
            **fields,
        )
        self.register()
        return self.views[name]

    def columns(
        self,
        name: str,
        query: str,
        *,
        table: str,
        columns: tuple[str, ...],
        key: tuple[str, ...] = ("id",),
        **fields: Any,
    ) -> View:
        """Keep the query of columns as an apply would, and make the view known."""
        relation = columns_query_name(name)
        self.connection.execute(
            sql.SQL("CREATE VIEW {} AS {}").format(identifiers.relation(relation), sql.SQL(query))
        )
        self.views[name] = View(
            name=name,
            database="test",
            relation=relation,
            kind=Kind.COLUMNS,
            query=query,
            query_path=Path(f"{name}.sql"),
            key=key,
            fills=Fills(table=RelationName("public", table), columns=columns),
            **fields,
        )
        self.register()
        return self.views[name]

    def register(self) -> None:
        graph = read_graph(self.connection, self.views)
        register(self.connection, self.views, graph, max_parallel=self.max_parallel)

    def task(self, view: View, **fields: Any) -> Task:
        now = read_clock(self.connection)
        graph = read_graph(self.connection, self.views)
        return Task(
            **{
                "view": view,
                "upstreams": graph.refreshed_upstreams(view.name),
                "trigger": Trigger.MANUAL,
                "due_at": now,
                "attempt": 1,
                "ready_at": now,
                "strategy": view.strategy,
                "max_parallel": self.max_parallel,
                "misfires": lambda _previous, _as_of: 0,
                **fields,
            }
        )

    def attempt(self, view: View, **fields: Any) -> Attempt:
        return Attempt(self.session, self.task(view, **fields), self.events.append)

    def refresh(self, view: View, **fields: Any) -> Run:
        """Refresh and expect a record."""
        result = self.attempt(view, **fields).run()
        assert isinstance(result, Ended), result
        return result.run

    def obstacle(self, view: View, **fields: Any) -> Obstacle:
        """Try to refresh and expect that it does not begin."""
        result = self.attempt(view, **fields).run()
        assert isinstance(result, NotBegun), result
        return result.obstacle

    def state(self, view: View) -> ViewState:
        return read_states(self.connection, {view.name: view})[view.name]

    def history(self, view: View) -> tuple[Run, ...]:
        return read_history(self.connection, view.name, limit=100)

    def tallies(self, view: View) -> dict[tuple[str, str], int]:
        rows = self.connection.execute(
            "SELECT metric, label, value FROM refresher.tally WHERE view = %s", [view.name]
        )
        return {(row["metric"], row["label"]): row["value"] for row in rows}

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        rows = self.connection.execute(
            sql.SQL("SELECT * FROM {} ORDER BY 1").format(sql.Identifier(name))
        )
        return [tuple(row.values()) for row in rows]


@dataclass
class Background:
    """An attempt in a thread of its own, with its own session."""

    attempt: Attempt
    results: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.results.append(self.attempt.run())

    def result(self) -> Result:
        self.thread.join(timedelta(seconds=30).total_seconds())
        assert self.results, "the attempt did not end within 30 s"
        return self.results[0]

    def run(self) -> Run:
        result = self.result()
        assert isinstance(result, Ended), result
        return result.run


@pytest.fixture
def workshop(database: Any) -> Iterator[Workshop]:
    session = Session(database.endpoint, worker="test/worker")
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
        connection.execute("INSERT INTO t SELECT g, g FROM generate_series(1, 10) AS g")
        yield Workshop(database.endpoint, connection, session)
    session.discard()


@pytest.fixture
def other_session(database: Any) -> Iterator[Session]:
    """Another worker's session."""
    session = Session(database.endpoint, worker="test/other")
    yield session
    session.discard()


@pytest.fixture
def bystander(database: Any) -> Iterator[sessions.Connection]:
    """Somebody else's connection, for locks, writers and killers."""
    with closing(database.connect()) as connection:
        yield connection
