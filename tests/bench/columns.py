"""`make bench-columns`: what it costs applications that others' columns are filled meanwhile.

One server, one run. Two columns of a table of a million rows are filled, and refreshed after every
change of one per cent of their sources, while four applications update groups of its rows. Times
without refresher are measured before and after each time with it, so that it shows if the machine
has become slower or faster meanwhile.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from refresher.postgres.sessions import Connection
from tests.bench import daemon
from tests.bench.ground import DATABASE, Ground, prepared
from tests.bench.phases import WITHOUT, Phase, table
from tests.bench.progress import Progress
from tests.bench.writing import Pace, writing

_VIEW = "customer_metrics"
_CHANGE_SECONDS = 5.0
_SETTLE_SECONDS = 3.0
_ROWS = 20
"""Of each transaction."""
_SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    # They would come at times of their own.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
}

_TABLES = """
CREATE TABLE signup (
    customer_id int PRIMARY KEY, source text NOT NULL, signed_up_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE customer_engagement_metrics (
    customer_id int PRIMARY KEY, visits int NOT NULL, seen_at timestamptz NOT NULL,
    source text, customer_since date
);
INSERT INTO customer_engagement_metrics
SELECT n, 0, timestamptz '2025-01-01' FROM generate_series(1, {n}) AS n;
"""
_SIGNUPS = """
INSERT INTO signup
SELECT
    n, (ARRAY['search', 'newsletter', 'friends', 'fair'])[n % 4 + 1],
    timestamptz '2020-01-01' + n % 50000 * interval '1 hour'
FROM generate_series(1, {n}) AS n
"""
_QUERY = """
SELECT customer_id, source, (signed_up_at AT TIME ZONE 'UTC')::date AS customer_since FROM signup
"""
_UPDATE = """
UPDATE customer_engagement_metrics SET visits = visits + 1, seen_at = now() WHERE customer_id = %s
"""
# Other ones each time, all over the table.
_CHANGE = """
UPDATE signup SET source = 'change ' || {number} WHERE customer_id % 100 = {number} % 100
"""
_CHANGE_ALL = """
UPDATE signup SET source = reverse(source), signed_up_at = signed_up_at + interval '1 day'
"""
_JUDGE = f"""
SELECT
    count(*) AS rows,
    sum(t.visits)::bigint AS visits,
    count(*) FILTER (
        WHERE ROW(t.source, t.customer_since)::record *<> ROW(q.source, q.customer_since)::record
    ) AS wrong
FROM customer_engagement_metrics AS t LEFT JOIN ({_QUERY}) AS q USING (customer_id)
"""
_RUNS = """
SELECT
    coalesce(sum(rows_updated), 0)::bigint AS rows, coalesce(sum(duration_seconds), 0) AS seconds,
    array_agg(error) FILTER (WHERE error IS NOT NULL) AS errors, max(id) AS newest
FROM refresher.run WHERE id > %s
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """What stands in the end, when all is at rest."""

    rows: int
    visits: int
    """What the applications counted in the table itself: each update adds one."""
    wrong: int
    """Rows whose filled columns differ from the query, image by image."""


@dataclass(slots=True, kw_only=True)
class _Bench:
    ground: Ground
    customers: int
    progress: Progress
    phases: list[Phase] = field(default_factory=list)
    _changes: int = 0
    _may_change: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self) -> None:
        """Create everything; nobody has signed up when refresher looks first, so all is to do."""
        self.progress.tell(f"loading {self.customers:,} customers")
        self._configure()
        (self.ground.home / "sql").mkdir()
        (self.ground.home / "sql" / f"{_VIEW}.sql").write_text(_QUERY)
        with self.ground.connect() as connection:
            connection.execute(_TABLES.format(n=self.customers).encode())
            self._refresher("apply")
            connection.execute(_SIGNUPS.format(n=self.customers).encode())

    def without(self, seconds: float) -> None:
        """Measure a while without refresher."""
        with self._phase(WITHOUT):
            time.sleep(seconds)

    def backfill(self, pace: int | None) -> None:
        """Measure how all rows are filled, at most so many a second."""
        self._configure(pace=pace)
        with self._phase("backfill" if pace is None else f"backfill, {pace:,} a second"):
            self._refresher("run-now", _VIEW)

    def refreshes(self, seconds: float) -> None:
        """Measure a while with a daemon that refreshes as often as there are changes."""
        self._configure(schedule={"every": f"{_CHANGE_SECONDS:g}s"})
        with daemon.running(self.ground), self._phase("refreshes of 1 %"):
            time.sleep(seconds)

    def change_all(self) -> None:
        """Have every row be filled anew."""
        self.progress.tell("changing all customers")
        with self.ground.connect() as connection, self._may_change:
            connection.execute(_CHANGE_ALL)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change one per cent of the sources now and then, until the block ends."""
        done = threading.Event()

        def change(connection: Connection) -> None:
            while not done.wait(_CHANGE_SECONDS):
                with self._may_change:
                    connection.execute(_CHANGE.format(number=self._changes).encode())
                self._changes += 1

        with self.ground.connect() as connection, ThreadPoolExecutor() as threads:
            changing = threads.submit(change, connection)
            try:
                yield
            finally:
                done.set()
            changing.result()

    def judge(self) -> Judged:
        """Refresh once more, and compare everything."""
        self.progress.tell("comparing")
        self._refresher("run-now", _VIEW)
        with self.ground.connect() as connection:
            row = connection.execute(_JUDGE).fetchone()
        assert row is not None
        return Judged(**row)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        with self.ground.connect() as connection:
            self._settle(connection)
            self.progress.tell(name)
            newest = _runs(connection)["newest"] or 0
            began = time.monotonic()
            yield
            ended = time.monotonic()
            runs = _runs(connection, newest)
        assert runs["errors"] is None, runs["errors"]
        self.phases.append(
            Phase(name=name, began=began, ended=ended, rows=runs["rows"], working=runs["seconds"])
        )

    def _settle(self, connection: Connection) -> None:
        """All begin with as little left to be done."""
        self.progress.tell("settling")
        connection.execute("VACUUM ANALYZE signup, customer_engagement_metrics")
        connection.execute("CHECKPOINT")
        time.sleep(_SETTLE_SECONDS)

    def _configure(self, *, schedule: object = "manual", pace: int | None = None) -> None:
        view = {
            "kind": "columns",
            "table": "customer_engagement_metrics",
            "key": ["customer_id"],
            "columns": ["source", "customer_since"],
            "schedule": schedule,
            **({} if pace is None else {"max_rows_per_second": pace}),
        }
        config = {
            "databases": {DATABASE: {"conninfo": "${DATABASE_URL}"}},
            "views": {_VIEW: view},
            "server": {"listen": "127.0.0.1:0"},
        }
        self.ground.config.write_text(yaml.safe_dump(config))

    def _refresher(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "refresher", *arguments, "--config", str(self.ground.config)],
            env={**os.environ, "DATABASE_URL": self.ground.conninfo},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            message = f"refresher {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
            raise SystemExit(message)


def _runs(connection: Connection, after: int = 0) -> dict[str, Any]:
    row = connection.execute(_RUNS, [after]).fetchone()
    assert row is not None
    return row


def main() -> int:
    """Measure, and print a table; returns 1 if an application failed, or a row is wrong."""
    options = _parse()
    pace = Pace(
        writers=options.writers,
        transactions_a_second=options.rate,
        rows=_ROWS,
        keys=options.customers,
        update=_UPDATE,
    )
    progress = Progress()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as home,
        prepared(Path(home), _SETTINGS) as ground,
    ):
        bench = _Bench(ground=ground, customers=options.customers, progress=progress)
        bench.prepare()
        with writing(ground, pace) as written, bench.changing():
            for most in [*[None] * options.rounds, *options.paces]:
                bench.without(options.seconds)
                bench.backfill(most)
                bench.without(options.seconds)
                bench.refreshes(options.seconds)
                bench.change_all()
            bench.without(options.seconds)
        judged = bench.judge()
    progress.end()
    lost = written.committed() * _ROWS - judged.visits
    errors = written.errors()
    print(
        f"PostgreSQL {ground.major}, {os.cpu_count()} cores; {judged.rows:,} rows; {pace.writers}"
        f" writers, each {pace.transactions_a_second:g} transactions of {_ROWS} rows a second;"
        f" {time.monotonic() - began:.0f} s\n"
    )
    print(table(bench.phases, written))
    print(
        f"\napplications: {written.committed():,} transactions, {errors.total()} errors"
        f" {dict(errors) if errors else ''}, {lost} of their updates lost\n"
        f"in the end: {judged.wrong} wrong rows"
    )
    return 1 if errors or lost or judged.wrong else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-columns", description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--rate", type=float, default=25, help="transactions a second, of each")
    parser.add_argument("--seconds", type=float, default=15, help="of each time without a backfill")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--paces", type=int, nargs="*", default=[10_000], help="max_rows_per_second of more rounds"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
