"""A shop: a source, views over it of every sort, and refreshes of them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from refresher.catalog.introspection import read_graph
from refresher.config.model import AfterUpstream, Cron, Every, Kind, Secret, View
from refresher.config.model import Database as ConfiguredDatabase
from refresher.names import RelationName
from refresher.observe.model import DatabaseSnapshot
from refresher.observe.snapshot import read_snapshot
from refresher.postgres.sessions import Connection
from refresher.refresh.attempt import Attempt
from refresher.refresh.session import Session
from refresher.refresh.task import Ended, Task
from refresher.runs import Run, Trigger
from refresher.store.registry import register
from refresher.store.state import read_clock
from tests.conftest import Database

_SCHEMA = """
CREATE TABLE sale (id int PRIMARY KEY, customer int NOT NULL);
INSERT INTO sale SELECT n, n % 10 FROM generate_series(1, 100) AS n;
CREATE MATERIALIZED VIEW per_customer AS
    SELECT customer, count(*) AS sales FROM sale GROUP BY customer WITH NO DATA;
CREATE UNIQUE INDEX ON per_customer (customer);
CREATE VIEW best_customers AS SELECT * FROM per_customer WHERE sales > 5;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS best FROM best_customers WITH NO DATA;
CREATE VIEW sales_now AS SELECT count(*) AS sales FROM sale;
CREATE MATERIALIZED VIEW nobodys AS SELECT 1 AS one;
"""


def _view(name: str, **fields: Any) -> View:
    return View(
        **{
            "name": name,
            "database": "crm",
            "relation": RelationName("public", name),
            "kind": Kind.MATERIALIZED_VIEW,
            "query": "",
            "query_path": Path(f"{name}.sql"),
            **fields,
        }
    )


def _views() -> dict[str, View]:
    nightly = Cron(cron="0 3 * * *", timezone=ZoneInfo("Europe/Amsterdam"))
    views = (
        _view("per_customer", schedule=Every(every=timedelta(hours=1))),
        _view("best_customers", kind=Kind.VIEW),
        _view("totals", schedule=AfterUpstream(), max_staleness=timedelta(days=1)),
        _view("sales_now", kind=Kind.VIEW),
        _view("absent", schedule=nightly),
    )
    return {view.name: view for view in views}


@dataclass
class Shop:
    """The database `crm`, its views, and a worker."""

    connection: Connection
    session: Session
    views: dict[str, View]

    def execute(self, statement: str) -> list[dict[str, Any]]:
        cursor = self.connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def refresh(self, name: str) -> Run:
        """Refresh a view now."""
        graph = read_graph(self.connection, self.views)
        now = read_clock(self.connection)
        task = Task(
            view=self.views[name],
            upstreams=graph.refreshed_upstreams(name),
            trigger=Trigger.MANUAL,
            due_at=now,
            attempt=1,
            ready_at=now,
            strategy="auto",
            max_parallel=4,
            misfires=lambda _previous, _now: 3,
        )
        match Attempt(self.session, task, lambda _event: None).run():
            case Ended(run):
                return run
            case other:
                message = f"not refreshed: {other}"
                raise AssertionError(message)

    def snapshot(self) -> DatabaseSnapshot:
        database = ConfiguredDatabase(alias="crm", conninfo=Secret(""))
        graph = read_graph(self.connection, self.views)
        return read_snapshot(self.connection, database, self.views, graph)


@contextmanager
def open_shop(database: Database) -> Iterator[Shop]:
    session = Session(database.endpoint, worker="shop/1/abc")
    with closing(database.connect()) as connection:
        connection.execute(_SCHEMA)
        shop = Shop(connection, session, _views())
        graph = read_graph(connection, shop.views)
        register(connection, shop.views, graph, max_parallel=4)
        yield shop
    session.discard()
