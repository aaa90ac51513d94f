"""A workbench: a database, definitions, and what an apply does with them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Index, Kind, Secret, View
from refresher.definitions.apply import Applied, apply
from refresher.definitions.plan import Plan
from refresher.definitions.planning import read_plan
from refresher.definitions.populate import Populator
from refresher.definitions.simulate import simulate
from refresher.definitions.simulation import Simulation
from refresher.events import Event
from refresher.names import RelationName
from refresher.postgres.sessions import Connection
from refresher.refresh.session import Session
from tests.conftest import Database
from tests.servers import endpoint_of

PLAIN = Kind.VIEW

_CATALOG = """
SELECT jsonb_build_object(
    'relations', (
        SELECT jsonb_agg(jsonb_build_array(
            c.oid, c.xmin::text, c.relname, c.relnamespace, c.relfilenode, c.relowner, c.relacl
        ) ORDER BY c.oid)
        FROM pg_class AS c WHERE c.oid >= 16384
    ),
    'columns', (
        SELECT jsonb_agg(jsonb_build_array(a.attrelid, a.attnum, a.xmin::text)
            ORDER BY a.attrelid, a.attnum)
        FROM pg_attribute AS a WHERE a.attrelid >= 16384
    ),
    'rules', (SELECT jsonb_agg(jsonb_build_array(r.oid, r.xmin::text) ORDER BY r.oid)
        FROM pg_rewrite AS r WHERE r.oid >= 16384),
    'indexes', (SELECT jsonb_agg(jsonb_build_array(i.indexrelid, i.xmin::text)
        ORDER BY i.indexrelid) FROM pg_index AS i WHERE i.indexrelid >= 16384),
    'comments', (SELECT jsonb_agg(jsonb_build_array(d.objoid, d.xmin::text) ORDER BY d.objoid)
        FROM pg_description AS d WHERE d.objoid >= 16384),
    'statistics', (SELECT jsonb_agg(jsonb_build_array(s.starelid, s.staattnum, s.xmin::text)
        ORDER BY s.starelid, s.staattnum) FROM pg_statistic AS s WHERE s.starelid >= 16384),
    'views', (SELECT jsonb_agg(jsonb_build_array(v, v.xmin::text) ORDER BY v.name)
        FROM refresher.view AS v),
    'states', (SELECT jsonb_agg(jsonb_build_array(s, s.xmin::text) ORDER BY s.view)
        FROM refresher.state AS s),
    'runs', (SELECT count(*) FROM refresher.run)
) AS catalog
"""


@dataclass
class Workbench:
    database: Database
    connection: Connection
    """The superuser's."""
    session: Session
    """The apply's; another role's after `work_as`."""
    views: dict[str, View] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement.encode(), parameters or None)
        return [tuple(row.values()) for row in cursor] if cursor.description else []

    def one(self, query: str, *parameters: Any) -> Any:
        ((found,),) = self.execute(query, *parameters)
        return found

    def define(
        self, name: str, query: str, kind: Kind = Kind.MATERIALIZED_VIEW, **fields: Any
    ) -> View:
        """Put a definition into the configuration, or replace it."""
        view = View(
            name=name,
            database="crm",
            relation=fields.pop("relation", RelationName("public", name)),
            kind=kind,
            query=query,
            query_path=Path("sql") / f"{name}.sql",
            **fields,
        )
        self.views[name] = view
        return view

    def redefine(self, name: str, **fields: Any) -> None:
        self.views[name] = replace(self.views[name], **fields)

    def work_as(self, role: str) -> None:
        self.session.discard()
        self.session = Session(
            endpoint_of(self.database.conninfo_as(role)), worker=self.session.worker
        )

    def populator(self) -> Populator:
        return Populator(
            session=self.session,
            database=DatabaseConfig(alias="crm", conninfo=Secret("")),
            views=self.views,
            emit=self.events.append,
            began=lambda _discharge: None,
        )

    def plan(self, **options: Any) -> Plan:
        return read_plan(self.session.connection(), self.views, **options).plan

    def kinds(self, **options: Any) -> list[tuple[str, ...]]:
        """The steps of a plan: what each does, and to which views."""
        return [(step.kind, *step.views) for step in self.plan(**options).steps]

    def apply(self, **options: Any) -> Applied:
        return apply(self.populator(), **options)

    def apply_well(self, **options: Any) -> list[tuple[str, ...]]:
        """Apply, expecting every step to be done and none to be left; returns the steps."""
        applied = self.apply(**options)
        assert [result.detail for result in applied.steps if result.outcome != "done"] == []
        assert self.kinds(**options) == []
        return [(result.step.kind, *result.step.views) for result in applied.steps]

    def errors(self, **options: Any) -> dict[str, str]:
        """Apply, expecting some steps to fail; returns why, by their first view."""
        applied = self.apply(**options)
        return {
            result.step.views[0]: result.detail or ""
            for result in applied.steps
            if result.outcome == "failed"
        }

    def simulate(self) -> Simulation:
        return simulate(self.session.connection(), self.views)

    def catalog(self) -> dict[str, Any]:
        """Everything an apply could change, with the transactions that wrote it."""
        found: dict[str, Any] = self.one(_CATALOG)
        return found

    def relations(self) -> dict[str, str]:
        """Names and kinds of what stands outside the store, indexes included."""
        rows = self.execute(
            "SELECT c.oid::regclass::text, c.relkind::text FROM pg_class AS c"
            " WHERE c.oid >= 16384"
            " AND c.relnamespace NOT IN ('refresher'::regnamespace, 'pg_toast'::regnamespace)"
            " AND c.relkind IN ('r', 'v', 'm', 'i')"
        )
        return dict(rows)


@pytest.fixture
def workbench(database: Database) -> Iterator[Workbench]:
    session = Session(database.endpoint, worker="test/worker")
    with database.connect() as connection:
        bench = Workbench(database, connection, session)
        yield bench
        bench.session.discard()


CHAIN = ["paid", "totals", "big_totals", "ranked", "best"]


def define_chain(workbench: Workbench, **fields: Any) -> None:
    """Five views over a table, each reading the next one that is defined."""
    workbench.execute(
        "CREATE TABLE IF NOT EXISTS orders (id int, customer int, amount numeric);"
        " TRUNCATE orders; INSERT INTO orders SELECT n, n % 10, n FROM generate_series(1, 100) AS n"
    )
    workbench.define(
        "best", "SELECT customer, total FROM ranked WHERE place <= 3", key=("customer",), **fields
    )
    workbench.define(
        "ranked",
        "SELECT *, rank() OVER (ORDER BY total DESC) AS place FROM big_totals",
        PLAIN,
        **fields,
    )
    workbench.define("big_totals", "SELECT * FROM totals WHERE total > 10", PLAIN, **fields)
    workbench.define(
        "totals",
        "SELECT customer, sum(amount) AS total FROM paid GROUP BY customer",
        key=("customer",),
        indexes=(Index(columns=("total",)),),
        **fields,
    )
    workbench.define("paid", "SELECT * FROM orders WHERE amount > 0", PLAIN, **fields)


def acl(workbench: Workbench, name: str) -> list[str]:
    """Who may do what with a relation; nothing where its owner may do everything."""
    found = workbench.one("SELECT relacl FROM pg_class WHERE oid = %s::regclass", name) or ()
    # Newer majors have one privilege more.
    return sorted(entry.replace("arwdDxtm", "all").replace("arwdDxt", "all") for entry in found)
