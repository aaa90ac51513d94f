"""`make bench-merge`: what a maintained table's merge costs beside PostgreSQL's own refreshes.

One server, one run. A table, and two materialized views of the same query over a million customers
and three million orders, are refreshed in turn after none, few, some and all of the customers have
changed. Somebody reads the one that is refreshed a hundred times a second. Where Debian's
PostgreSQL 15 is, everything runs on it.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import sql

from refresher.config.model import Database, Kind, Secret, StrategyChoice, View
from refresher.definitions.apply import apply
from refresher.definitions.populate import Populator
from refresher.embedded.installation import VARIABLE
from refresher.graph import Graph
from refresher.names import RelationName
from refresher.postgres.sessions import Connection, Endpoint
from refresher.refresh.attempt import Attempt
from refresher.refresh.session import Session
from refresher.refresh.task import Ended, Task
from refresher.runs import Run, Strategy, Trigger
from refresher.store.migrate import migrate
from refresher.store.state import read_clock
from tests.bench import others
from tests.bench.ground import DATABASE, Ground, prepared
from tests.bench.progress import Progress
from tests.bench.reading import reading
from tests.bench.waits import Waits

_MEGABYTE = 2**20
_LOOK_SECONDS = 0.02
_ORDERS_EACH = 3
_TEMPORARY = ("base/*/t*_*", "base/pgsql_tmp/**/*")
"""Where PostgreSQL keeps temporary tables, and what does not fit into work_mem."""
_SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "work_mem": "64MB",
    "autovacuum": "off",  # it would come at times of its own
}

_SOURCES = """
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, country text NOT NULL);
CREATE TABLE orders (
    id int PRIMARY KEY, customer_id int NOT NULL, amount numeric(10, 2) NOT NULL,
    ordered_at timestamptz NOT NULL, returned boolean NOT NULL
) WITH (fillfactor = 70);
INSERT INTO customer
SELECT n, 'customer ' || n, substr('NLDEFRBE', n % 4 * 2 + 1, 2) FROM generate_series(1, {n}) AS n;
INSERT INTO orders
SELECT
    n, (n - 1) % {n} + 1, n % 1000 + 0.5, timestamptz '2025-01-01' + n % 500 * interval '1 hour',
    n % 20 = 0
FROM generate_series(1, {n} * {each}) AS n;
CREATE INDEX ON orders (customer_id);
"""
_QUERY = """
SELECT
    c.id AS customer_id, c.name, c.country,
    count(o.id) AS orders,
    count(*) FILTER (WHERE o.returned) AS returned,
    sum(o.amount) AS spent,
    round(avg(o.amount), 2) AS average,
    min(o.ordered_at) AS first_order_at,
    max(o.ordered_at) AS last_order_at
FROM customer AS c
LEFT JOIN orders AS o ON o.customer_id = c.id
GROUP BY c.id
"""
# The first order of each of so many customers, all over the table.
_CHANGE = """
UPDATE orders SET amount = amount + 1 WHERE id <= {n} AND id::bigint * 7919 % {n} < {changed}
"""
_CONTENDERS: dict[str, tuple[Kind, StrategyChoice]] = {
    "merge": (Kind.TABLE, "auto"),
    "refresh": (Kind.MATERIALIZED_VIEW, Strategy.FULL),
    "concurrently": (Kind.MATERIALIZED_VIEW, Strategy.CONCURRENT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One refresh."""

    seconds: float
    wal_bytes: int
    temporary_bytes: int
    """At most at one time: spilled sorts and hashes, and temporary tables."""
    reads: Waits


@dataclass(slots=True, kw_only=True)
class _Bench:
    ground: Ground
    customers: int
    data_dir: Path
    progress: Progress
    views: dict[str, View] = field(default_factory=dict)

    def prepare(self) -> None:
        """Load the sources, and create and fill all contenders."""
        self.progress.tell(f"loading {self.customers:,} customers")
        with self.ground.connect() as connection:
            migrate(connection)
            connection.execute(_SOURCES.format(n=self.customers, each=_ORDERS_EACH).encode())
            connection.execute("VACUUM (ANALYZE, FREEZE)")
        for name, (kind, strategy) in _CONTENDERS.items():
            self.views[name] = View(
                name=name,
                database=DATABASE,
                relation=RelationName("public", name),
                kind=kind,
                query=_QUERY,
                query_path=Path(f"{name}.sql"),
                key=("customer_id",),
                strategy=strategy,
            )
        with self._session() as session:
            applied = apply(
                Populator(
                    session=session,
                    database=Database(alias=DATABASE, conninfo=Secret(self.ground.conninfo)),
                    views=self.views,
                    emit=lambda _event: None,
                    began=lambda _discharge: None,
                ),
                tell=self.progress.tell,
            )
        assert applied.succeeded, applied.steps

    def change(self, share: float) -> None:
        """Change an order of this share of all customers."""
        self.progress.tell(f"changing {share:.1%} of the customers")
        changed = round(self.customers * share)
        with self.ground.connect() as connection:
            connection.execute(_CHANGE.format(n=self.customers, changed=changed).encode())
            connection.execute("VACUUM ANALYZE orders")
            connection.execute("CHECKPOINT")

    def refresh(self, name: str) -> Measured:
        """Refresh one of them while somebody reads it."""
        self.progress.tell(f"refreshing: {name}")
        with self.ground.connect() as connection, self._session() as session:
            before = _wal(connection)
            with (
                _watched(self.data_dir) as temporary,
                reading(self.ground, name, self.customers) as reads,
            ):
                run = self._run(session, self.views[name])
            after = _wal(connection)
            connection.execute(sql.SQL("VACUUM {}").format(sql.Identifier(name)))
        return Measured(
            seconds=run.duration_seconds or 0.0,
            wal_bytes=after - before,
            temporary_bytes=max(temporary, default=0),
            reads=reads,
        )

    def _run(self, session: Session, view: View) -> Run:
        now = read_clock(session.connection())
        task = Task(
            view=view,
            upstreams=Graph({view.name: frozenset()}, frozenset()).refreshed_upstreams(view.name),
            trigger=Trigger.MANUAL,
            due_at=now,
            ready_at=now,
            attempt=1,
            strategy=view.strategy,
            max_parallel=4,
            misfires=lambda _previous, _as_of: 0,
        )
        result = Attempt(session, task, lambda _event: None).run()
        assert isinstance(result, Ended), result
        assert result.run.succeeded, result.run.error
        return result.run

    @contextmanager
    def _session(self) -> Iterator[Session]:
        endpoint = Endpoint(alias=DATABASE, conninfo=self.ground.conninfo, session={})
        session = Session(endpoint, worker="bench/0/0")
        try:
            yield session
        finally:
            session.discard()


def _wal(connection: Connection) -> int:
    row = connection.execute(
        "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS bytes"
    ).fetchone()
    assert row is not None
    return int(row["bytes"])


@contextmanager
def _watched(data_dir: Path) -> Iterator[list[int]]:
    """How large all temporary files of the server are together, again and again."""
    sizes: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_SECONDS):
            found = [file for pattern in _TEMPORARY for file in data_dir.glob(pattern)]
            sizes.append(sum(map(_size, found)))

    thread = threading.Thread(target=watch, name="temporary files")
    thread.start()
    try:
        yield sizes
    finally:
        done.set()
        thread.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it is gone already


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="make bench-merge", description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--churn", type=float, nargs="+", default=[0, 0.001, 0.01, 0.1, 1])
    options = parser.parse_args()
    programs = others.debian_with_cron() if VARIABLE not in os.environ else None
    if programs is not None:
        os.environ[VARIABLE] = str(programs)
    progress = Progress()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as home,
        prepared(Path(home), _SETTINGS) as ground,
    ):
        bench = _Bench(
            ground=ground, customers=options.customers, data_dir=ground.data_dir, progress=progress
        )
        bench.prepare()
        measured: dict[float, dict[str, Measured]] = {}
        for number, share in enumerate(options.churn):
            bench.change(share)
            names = list(_CONTENDERS)
            turn = number % len(names)
            measured[share] = {name: bench.refresh(name) for name in names[turn:] + names[:turn]}
    progress.end()
    print(
        f"PostgreSQL {ground.major}, {os.cpu_count()} cores; {options.customers:,} customers,"
        f" {options.customers * _ORDERS_EACH:,} orders; {time.monotonic() - began:.0f} s\n"
    )
    print(_table(measured))


def _table(measured: dict[float, dict[str, Measured]]) -> str:
    head = ("churn", "", "wall", "of CONCURRENTLY", "WAL", "temporary", "reader p99")
    lines = ["{:>7}  {:<13}{:>9}{:>17}{:>11}{:>11}{:>12}".format(*head)]
    for share, found in measured.items():
        for name in _CONTENDERS:
            one = found[name]
            ratio = one.seconds / found["concurrently"].seconds
            lines.append(
                f"{share:>7.1%}  {name:<13}{one.seconds:>7.1f} s{ratio:>16.2f}x"
                f"{one.wal_bytes / _MEGABYTE:>8.1f} MB{one.temporary_bytes / _MEGABYTE:>8.1f} MB"
                f"{one.reads.p99 * 1000:>9.1f} ms"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
