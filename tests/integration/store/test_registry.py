from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from refresher.config.model import Kind, View
from refresher.graph import Graph
from refresher.names import RelationName
from refresher.store.registry import register
from tests.conftest import Database

_VIEW = View(
    name="v",
    database="crm",
    relation=RelationName("public", "v"),
    kind=Kind.MATERIALIZED_VIEW,
    query="SELECT 1",
    query_path=Path("v.sql"),
)
_GRAPH = Graph({"v": frozenset()}, frozenset({"v"}))


def test_registering_views_does_not_wait_for_their_refreshes(database: Database) -> None:
    with database.connect() as registrar, database.connect() as refresh:
        register(registrar, {"v": _VIEW}, _GRAPH, max_parallel=1)
        with refresh.transaction():
            refresh.execute("SELECT FROM refresher.slot WHERE number = 1 FOR NO KEY UPDATE")
            refresh.execute("UPDATE refresher.fence SET run = 1 WHERE view = 'v'")
            registrar.execute("SET statement_timeout = '1s'")
            changed = {"v": replace(_VIEW, max_staleness=timedelta(hours=1))}
            register(registrar, changed, _GRAPH, max_parallel=2)
        limits = registrar.execute("SELECT max_staleness FROM refresher.view").fetchall()
        assert limits == [{"max_staleness": timedelta(hours=1)}]
