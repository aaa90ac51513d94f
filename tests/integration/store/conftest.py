from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refresher.config.model import Kind, View
from refresher.graph import Graph
from refresher.names import RelationName
from refresher.postgres.sessions import Connection
from refresher.store.registry import register
from tests.conftest import Database


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as opened:
        yield opened


def make_view(name: str, **fields: Any) -> View:
    view = View(
        name=name,
        database="crm",
        relation=RelationName("public", name),
        kind=Kind.MATERIALIZED_VIEW,
        query="SELECT 1",
        query_path=Path(f"{name}.sql"),
    )
    return replace(view, **fields)


def make_known(connection: Connection, *names: str) -> dict[str, View]:
    """Register materialized views that read nothing of each other."""
    views = {name: make_view(name) for name in names}
    graph = Graph({name: frozenset() for name in names}, frozenset(names))
    register(connection, views, graph, max_parallel=2)
    return views


def open_run(
    connection: Connection, view: str, *, worker: str = "w", age: str = "1 minute", **columns: Any
) -> int:
    """Record a run, open unless `outcome` is given; returns its id."""
    fields = {"outcome": None, "failure": None, "rows": None, **columns}
    row = connection.execute(
        "INSERT INTO refresher.run"
        " (view, due_at, trigger, attempt, worker, started_at, outcome, failure, rows)"
        " VALUES (%(view)s, now(), 'manual', 1, %(worker)s, now() - %(age)s::interval,"
        " %(outcome)s, %(failure)s, %(rows)s)"
        " RETURNING id",
        {"view": view, "worker": worker, "age": age, **fields},
    ).fetchone()
    assert row is not None
    run: int = row["id"]
    return run


def values(connection: Connection, query: str, *parameters: Any) -> list[Any]:
    """The first column of every row."""
    rows = connection.execute(query.encode(), parameters)
    return [next(iter(row.values())) for row in rows]
