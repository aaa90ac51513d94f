"""Readers that look at contents, states, staleness and fences all the while."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from refresher.errors import UnreachableError
from refresher.postgres.sessions import Connection, connect_to_look
from refresher.runs import Run
from tests.faults import scenario
from tests.faults.history import Holder, Reading, Sample, Snapshot, Success, pid_of
from tests.servers import endpoint_of

_LOOK_EVERY = 0.1
_RECONNECT_SECONDS = 0.1

# One statement, so that state and contents are of one snapshot.
_LOOK = sql.SQL("""
WITH contents (view, rows, made_by, generations, read_from) AS ({contents})
SELECT
    statement_timestamp() AS at, view, s.as_of, s.data_as_of, s.lineage,
    pg_snapshot_xmax(s.watermark)::text::bigint AS refreshed_by,
    c.rows, c.made_by, c.generations, c.read_from
FROM refresher.state AS s
JOIN contents AS c USING (view)
""")
_CONTENTS = sql.SQL("""
SELECT
    {name}, count(*), array_agg(DISTINCT made_by), array_agg(DISTINCT generation), {read_from}
FROM {view}
""")
_READ_NOTHING = sql.SQL("'{{}}'::bigint[]").format()
_READ_UPSTREAM = sql.SQL("array_agg(DISTINCT read_from)")

_READ = sql.SQL("""
WITH shown (view, source, stamped_at) AS ({windows})
SELECT statement_timestamp() AS at, s.view, s.source, s.stamped_at, f.staleness
FROM shown AS s
LEFT JOIN refresher.freshness AS f USING (view)
""")
_WINDOW = sql.SQL("SELECT {name}, {source}, min({column}) FROM {view}")

HOLDERS: LiteralString = """
SELECT
    statement_timestamp() AS at, f.view, r.id AS run, r.started_at AS since, l.pid AS backend,
    a.application_name AS application
FROM refresher.fence AS f
JOIN pg_locks AS l
    ON l.locktype = 'transactionid' AND l.transactionid = f.xmax AND l.mode = 'ExclusiveLock'
JOIN pg_stat_activity AS a ON a.pid = l.pid AND a.application_name LIKE 'refresher %%/%%/%%'
JOIN refresher.run AS r
    ON r.view = f.view AND r.outcome IS NULL AND 'refresher ' || r.worker = a.application_name
"""


class Observer:
    """Looks ten times a second, as a superuser, past any pooler."""

    def __init__(self, conninfo: str) -> None:
        self.samples: list[Sample] = []
        self.readings: list[Reading] = []
        self.holders: list[Holder] = []
        self.failure: BaseException | None = None
        self._conninfo = conninfo
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(look,), name=look.__name__)
            for look in (self._look, self._read)
        ]

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Look until the block ends."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join()

    def _watch(self, look: Any) -> None:
        """Do it again and again; a server that goes away is waited for."""
        try:
            while not self._stopping.wait(_RECONNECT_SECONDS):
                with (
                    contextlib.suppress(UnreachableError, psycopg.OperationalError),
                    connect_to_look(endpoint_of(self._conninfo)) as connection,
                ):
                    while not self._stopping.wait(_LOOK_EVERY):
                        look(connection)
        except psycopg.Error as failure:
            self.failure = failure

    def _look(self, connection: Connection) -> None:
        self.samples.extend(map(_sample, connection.execute(_look_query())))
        self.holders.extend(map(_holder, connection.execute(HOLDERS)))

    def _read(self, connection: Connection) -> None:
        self.readings.extend(Reading(**row) for row in connection.execute(_reading_query()))


def _look_query() -> sql.Composed:
    contents = (
        _CONTENTS.format(
            name=sql.Literal(view),
            read_from=_READ_NOTHING if upstream is None else _READ_UPSTREAM,
            view=sql.Identifier(view),
        )
        for view, upstream in scenario.readers().items()
    )
    return _LOOK.format(contents=sql.SQL(" UNION ALL ").join(contents))


def _reading_query() -> sql.Composed:
    windows = (
        _WINDOW.format(
            name=sql.Literal(view),
            source=sql.Literal(source),
            column=sql.Identifier(column),
            view=sql.Identifier(view),
        )
        for view, source, column in scenario.windows()
    )
    return _READ.format(windows=sql.SQL(" UNION ALL ").join(windows))


def _sample(row: dict[str, Any]) -> Sample:
    sets = ("made_by", "generations", "read_from")
    return Sample(**{**row, **{name: frozenset(row[name] or ()) for name in sets}})


def _holder(row: dict[str, Any]) -> Holder:
    return Holder(row["at"], row["view"], pid_of(row["application"]), row["since"])


def read_as_of(connection: Connection) -> dict[str, datetime]:
    """Each view's as_of."""
    rows = connection.execute("SELECT view, as_of FROM refresher.state")
    return {row["view"]: row["as_of"] for row in rows}


def read_lineage(connection: Connection) -> str | None:
    """Of this server."""
    row = connection.execute("SELECT refresher.lineage() AS lineage").fetchone()
    assert row is not None
    lineage: str | None = row["lineage"]
    return lineage


def read_misfires(connection: Connection) -> dict[str, int]:
    """How many due instants of each view were ever counted as coalesced."""
    rows = connection.execute("SELECT view, value FROM refresher.tally WHERE metric = 'misfires'")
    return {row["view"]: row["value"] for row in rows}


def read_successes(connection: Connection) -> tuple[Success, ...]:
    """What the witness wrote down, in the order it was committed for each view."""
    rows = connection.execute(
        "SELECT view, run, due_at, as_of, data_as_of, watermark::text AS snapshot,"
        " transaction::text::bigint AS transaction, taken_at, upstreams_seen, lineage"
        " FROM witness.success ORDER BY number"
    )
    return tuple(
        Success(
            **{
                **row,
                "snapshot": Snapshot.parse(row["snapshot"]),
                "upstreams_seen": {
                    view: as_of and datetime.fromisoformat(as_of)
                    for view, as_of in row["upstreams_seen"].items()
                },
            }
        )
        for row in rows
    )


def read_runs(connection: Connection, *, after: int) -> tuple[Run, ...]:
    """All runs recorded later than one of them."""
    rows = connection.execute("SELECT * FROM refresher.run WHERE id > %s ORDER BY id", [after])
    return tuple(map(Run.from_row, rows))


def read_newest_run(connection: Connection) -> int:
    """The newest run's number."""
    row = connection.execute("SELECT coalesce(max(id), 0) AS id FROM refresher.run").fetchone()
    assert row is not None
    return int(row["id"])
