"""Columns of an application's table that are filled for the first time, and the judge of it."""

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.conninfo import make_conninfo

from refresher.postgres import identifiers
from refresher.postgres.sessions import Connection, connect
from refresher.refresh.columns.staging import stage_name
from refresher.store.migrate import migrate
from tests.faults.daemons import Daemon, Daemons
from tests.faults.history import Record
from tests.faults.instruments.application import Application
from tests.faults.places import Place
from tests.servers import endpoint_of
from tests.waiting import wait_until

_VIEW = "customer_metrics"
_ROWS = 20_000
_TEMPLATE = "backfill"
_PATIENCE_SECONDS = 60.0

# All rows are to be written: one in ten is nobody's, and gets the default and null.
_TABLES = f"""
CREATE TABLE signup (customer_id int PRIMARY KEY, source text, since date);
INSERT INTO signup SELECT n, nullif('source ' || n % 7, 'source 0'), date '2020-01-01' + n % 1000
FROM generate_series(1, {_ROWS}) AS n WHERE n % 10 > 0;
CREATE TABLE metrics (
    customer_id int PRIMARY KEY, visits int NOT NULL DEFAULT 0, note text NOT NULL,
    source text DEFAULT 'nobody', since date
);
INSERT INTO metrics (customer_id, note, source, since)
SELECT n, 'note ' || n, 'old', date '1999-12-31' FROM generate_series(1, {_ROWS}) AS n;
"""
# The nap makes room for moments before anything is written.
_QUERY = """
WITH nap AS MATERIALIZED (SELECT pg_sleep(0.5))
SELECT customer_id, source, since FROM signup CROSS JOIN nap
"""
_CONFIG = """
databases: {{crm: {{conninfo: "${{DATABASE_URL}}"}}}}
views:
  {view}:
    kind: columns
    table: metrics
    key: [customer_id]
    columns: [source, since]
    schedule: manual
    {pace}
server: {{listen: 127.0.0.1:0}}
"""
_JUDGE = """
SELECT
    count(*) AS rows,
    count(*) FILTER (WHERE m.note <> 'note ' || m.customer_id) AS touched,
    count(*) FILTER (
        WHERE ROW(m.source, m.since)::record *<> CASE
            WHEN s.customer_id IS NULL THEN ROW('nobody'::text, NULL::date)::record
            ELSE ROW(s.source, s.since)::record
        END
    ) AS wrong
FROM metrics AS m LEFT JOIN signup AS s USING (customer_id)
"""
_VISITS = "SELECT customer_id, visits FROM metrics WHERE visits > 0"
_RUNS = """
SELECT
    id, outcome, failure, error, started_at, worker, coalesce(rows_updated, 0) AS written,
    duration_seconds AS seconds
FROM refresher.run ORDER BY id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One backfill."""

    connection: Connection
    daemons: Daemons
    record: Record
    application: Application

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """The application writes until the block ends; then nothing runs any more."""
        with self.application.writing(), self.daemons.running():
            yield

    @contextlib.contextmanager
    def daemon(self) -> Iterator[Daemon]:
        """One that creates and fills what is configured, until the block ends."""
        with self.daemons.extra(options=["--apply"]) as daemon:
            yield daemon

    def runs(self) -> list[dict[str, Any]]:
        """All that were recorded, the oldest first."""
        return self.connection.execute(_RUNS).fetchall()

    def wait_begun(self) -> dict[str, Any]:
        """Wait for a run, and return it."""
        return wait_until(self.runs, _PATIENCE_SECONDS, what="a run")[0]

    def wait_done(self) -> dict[str, Any]:
        """Wait for a success, and return it."""

        def success() -> dict[str, Any] | None:
            return next((run for run in self.runs() if run["outcome"] == "succeeded"), None)

        found = wait_until(success, _PATIENCE_SECONDS, what="a success")
        assert found is not None
        return found

    def wait_closed(self) -> None:
        """Wait until no run is open."""

        def closed() -> bool:
            return all(run["outcome"] is not None for run in self.runs())

        wait_until(closed, _PATIENCE_SECONDS, what="the end of all runs")

    def left(self) -> int | None:
        """How many rows are staged; None if nothing is."""
        stage = stage_name(_VIEW)
        found = self.connection.execute("SELECT to_regclass(%s) AS oid", [str(stage)]).fetchone()
        if found is None or found["oid"] is None:
            return None
        count = sql.SQL("SELECT count(*) AS rows FROM {}").format(identifiers.relation(stage))
        row = self.connection.execute(count).fetchone()
        return None if row is None else int(row["rows"])

    def judge(self) -> Iterator[str]:
        """What is wrong, now that all is at rest."""
        runs = self.runs()
        outcomes = Counter(run["outcome"] for run in runs)
        if outcomes["succeeded"] != 1:
            yield f"runs ended so: {dict(outcomes)}"
        for run in runs:
            if run["failure"] not in (None, "lost"):
                yield f"run {run['id']}: {run['failure']}: {run['error']}"
        if not self.connection.execute("SELECT FROM refresher.state").fetchall():
            yield "nothing says what it is as of"
        if self.left() is not None:
            yield f"{self.left()} rows are still staged"
        found = self.connection.execute(_JUDGE).fetchone()
        if found != {"rows": _ROWS, "touched": 0, "wrong": 0}:
            yield f"the table has {found}"
        visits = {row["customer_id"]: row["visits"] for row in self.connection.execute(_VISITS)}
        if visits != self.application.counted:
            yield "the application's updates are not what it wrote"
        yield from (f"the application: {error}" for error in self.application.errors)
        for end in self.record.exits:
            if end.code != 0 or end.seconds > end.allowed:
                yield f"daemon {end.pid} ended with {end.code} after {end.seconds:.2f} s"


def prepare(place: Place) -> None:
    """Make what the databases of all trials are copies of."""
    with connect(endpoint_of(place.superuser)) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    with connect(endpoint_of(make_conninfo(place.superuser, dbname=_TEMPLATE))) as connection:
        migrate(connection)
        connection.execute(_TABLES)
        connection.execute("VACUUM ANALYZE")


@contextlib.contextmanager
def trial(place: Place, at: Path, pace: int | None, seed: int) -> Iterator[Trial]:
    """Have everything ready in a database that is gone after the block.

    Args:
        place: where the database is made.
        at: a folder that is not there yet; the database has its name.
        pace: how many rows may be written a second.
        seed: what the application does comes from it.
    """
    (at / "sql").mkdir(parents=True)
    (at / "sql" / f"{_VIEW}.sql").write_text(_QUERY)
    config = at / "config.yaml"
    config.write_text(
        _CONFIG.format(view=_VIEW, pace="" if pace is None else f"max_rows_per_second: {pace}")
    )
    record = Record()
    database = sql.Identifier(at.name)
    conninfo = make_conninfo(place.superuser, dbname=at.name)
    with connect(endpoint_of(place.superuser)) as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(database, sql.Identifier(_TEMPLATE))
        )
        try:
            with connect(endpoint_of(conninfo)) as connection:
                yield Trial(
                    connection=connection,
                    daemons=Daemons(config, conninfo, record, count=0),
                    record=record,
                    application=Application(
                        conninfo,
                        table="metrics",
                        key="customer_id",
                        column="visits",
                        keys=_ROWS,
                        chance=random.Random(seed),  # noqa: S311 - keys of rows, no secret
                    ),
                )
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
