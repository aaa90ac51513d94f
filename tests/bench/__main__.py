"""`make bench`: what refresher adds to a bare REFRESH MATERIALIZED VIEW CONCURRENTLY.

One server, one view, one run. In turns, a bare statement and the daemon's worker refresh the view;
before each, one row in a thousand changes. For the worker the whole attempt is timed, from the
moment it is handed the task until its record is committed and reported.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from refresher import embedded
from refresher.catalog.introspection import read_graph
from refresher.config.model import Kind, View
from refresher.daemon.workers import Workers
from refresher.names import RelationName
from refresher.postgres.sessions import Connection, Endpoint, connect
from refresher.refresh.task import Ended, Result, Task
from refresher.runs import Strategy, Trigger
from refresher.store.migrate import migrate
from refresher.store.registry import register
from refresher.store.state import read_clock

ROUNDS = {15_549: 60, 1_000_000: 7}
"""Rows of the view → measured rounds of each contender."""

VIEW = View(
    name="bench",
    database="bench",
    relation=RelationName("public", "bench"),
    kind=Kind.MATERIALIZED_VIEW,
    query="SELECT id, label, amount FROM bench_source",
    query_path=Path("bench.sql"),
    key=("id",),
    strategy=Strategy.CONCURRENT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Medians of one size, in milliseconds."""

    rows: int
    rounds: int
    bare_ms: float
    refresher_ms: float
    added_ms: float
    """The median of the differences between neighbours, which is steadier than their medians'."""
    ratio: float


class _Daemon:
    """The daemon's workers, handed one task at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._done = threading.Event()
        self._result: Result | BaseException | None = None
        self._workers = Workers(
            endpoint, worker="bench", size=1, emit=lambda _event: None, report=self._report
        )
        self._workers.start()

    def refresh(self, task: Task) -> float:
        """Seconds until the task is done and committed."""
        self._done.clear()
        began = time.perf_counter()
        self._workers.submit(task)
        self._done.wait()
        took = time.perf_counter() - began
        if not isinstance(self._result, Ended) or not self._result.run.succeeded:
            message = f"the refresh did not succeed: {self._result}"
            raise SystemExit(message)
        return took

    def stop(self) -> None:
        self._workers.stop()

    def _report(self, _task: Task, result: Result | BaseException) -> None:
        self._result = result
        self._done.set()


def main() -> None:
    """Measure, and print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROUNDS), help="sizes to run")
    options = parser.parse_args()
    with _server() as endpoint:
        measured = [_measure(endpoint, rows, ROUNDS.get(rows, 10)) for rows in options.rows]
    if options.json:
        json.dump([asdict(one) for one in measured], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    sys.stdout.write(f"{'rows':>9} {'bare':>12} {'refresher':>12} {'added':>10} {'ratio':>7}\n")
    for one in measured:
        sys.stdout.write(
            f"{one.rows:>9,} {one.bare_ms:>9.1f} ms {one.refresher_ms:>9.1f} ms"
            f" {one.added_ms:>7.1f} ms {one.ratio:>6.3f}x\n"
        )


@contextmanager
def _server() -> Iterator[Endpoint]:
    # Settings of a real server: what is measured must be able to wait for the disk.
    settings = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    with embedded.start(settings=settings) as server:
        yield Endpoint(alias="bench", conninfo=server.conninfo, session={})


def _measure(endpoint: Endpoint, rows: int, rounds: int) -> Measured:
    with connect(endpoint) as connection:
        _build(connection, rows)
        daemon = _Daemon(endpoint)
        bare, ours = [], []
        for number in range(rounds + 2):
            _change(connection, number)
            bare.append(_bare(connection))
            _change(connection, number)
            ours.append(daemon.refresh(_task(connection)))
        daemon.stop()
    del bare[:2], ours[:2]  # the first rounds warm caches and connections
    added = [one - other for one, other in zip(ours, bare, strict=True)]
    return Measured(
        rows=rows,
        rounds=rounds,
        bare_ms=statistics.median(bare) * 1000,
        refresher_ms=statistics.median(ours) * 1000,
        added_ms=statistics.median(added) * 1000,
        ratio=statistics.median(ours) / statistics.median(bare),
    )


def _build(connection: Connection, rows: int) -> None:
    migrate(connection)
    connection.execute("DROP TABLE IF EXISTS bench_source CASCADE")
    connection.execute(
        "CREATE TABLE bench_source AS SELECT g AS id, 'label ' || g AS label, g * 1.5 AS amount"
        " FROM generate_series(1, %s::int) AS g",
        [rows],
    )
    connection.execute("ALTER TABLE bench_source ADD PRIMARY KEY (id)")
    connection.execute(f"CREATE MATERIALIZED VIEW bench AS {VIEW.query}".encode())
    connection.execute("CREATE UNIQUE INDEX bench_key ON bench (id)")
    connection.execute("ANALYZE bench_source, bench")
    views = {VIEW.name: VIEW}
    register(connection, views, read_graph(connection, views), max_parallel=1)


def _change(connection: Connection, number: int) -> None:
    connection.execute(
        "UPDATE bench_source SET amount = amount + 1 WHERE id %% 1000 = %s", [number]
    )


def _bare(connection: Connection) -> float:
    began = time.perf_counter()
    connection.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY bench")
    return time.perf_counter() - began


def _task(connection: Connection) -> Task:
    now = read_clock(connection)
    return Task(
        view=VIEW,
        upstreams=(),
        trigger=Trigger.MANUAL,
        due_at=now,
        attempt=1,
        ready_at=now,
        strategy=VIEW.strategy,
        max_parallel=1,
        misfires=lambda _previous, _as_of: 0,
    )


if __name__ == "__main__":
    main()
