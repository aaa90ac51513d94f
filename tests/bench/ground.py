"""The ground a schedule is measured on: a private server, many small views, their configuration."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from psycopg import sql
from psycopg.conninfo import make_conninfo

from refresher import embedded
from refresher.postgres.sessions import Connection, Endpoint, connect
from tests.bench.progress import Progress

DATABASE = "bench"
ROWS = 10
"""Of each view."""
_AT_ONCE = 200
"""Views made in one transaction: each takes locks."""

_SETTINGS = {
    # What is measured must be able to wait for the disk.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}

_MAKE_VIEW = sql.SQL(
    "CREATE MATERIALIZED VIEW {view} AS {query}; CREATE UNIQUE INDEX ON {view} (id)"
)
_DROP_VIEW = sql.SQL("DROP MATERIALIZED VIEW {view}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A server whose database `bench` has the views."""

    home: Path
    """Where the configuration is, and what the daemon says."""
    server: str
    """How to reach its database of administrators."""
    conninfo: str
    """How to reach the views."""
    major: int
    data_dir: Path

    @property
    def config(self) -> Path:
        return self.home / "config.yaml"

    def connect(self) -> Connection:
        return connect(Endpoint(alias=DATABASE, conninfo=self.conninfo, session={}))

    def connect_beside(self) -> Connection:
        """To another database, so that what is asked here does not count there."""
        return connect(Endpoint(alias="beside", conninfo=self.server, session={}))


@contextlib.contextmanager
def prepared(home: Path, settings: dict[str, str]) -> Iterator[Ground]:
    """Start the server, with these settings besides ours, and make the database."""
    with embedded.start(settings={**_SETTINGS, **settings}) as server:
        ground = Ground(
            home=home,
            server=server.conninfo,
            conninfo=make_conninfo(server.conninfo, dbname=DATABASE),
            major=server.major,
            data_dir=server.data_dir,
        )
        with ground.connect_beside() as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        yield ground


@contextlib.contextmanager
def small_views(ground: Ground, count: int, progress: Progress) -> Iterator[None]:
    """Make `bench_1` to `bench_<count>`; at the end they are gone with what refresher knew."""
    with ground.connect() as connection:
        _make_source(connection, count)
        for first in range(1, count + 1, _AT_ONCE):
            progress.tell(f"making {count:,} views", done=first - 1, of=count)
            with connection.transaction():
                for number in range(first, min(first + _AT_ONCE, count + 1)):
                    connection.execute(
                        _MAKE_VIEW.format(view=_name(number), query=sql.SQL(_query(number)))
                    )
        progress.tell("vacuuming")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    try:
        yield
    finally:
        with ground.connect() as connection:
            for number in range(1, count + 1):
                progress.tell(f"dropping {count:,} views", done=number - 1, of=count)
                connection.execute(_DROP_VIEW.format(view=_name(number)))
            connection.execute("DROP TABLE bench_source")
            connection.execute("DROP SCHEMA refresher CASCADE")
            progress.tell("vacuuming")
            connection.execute("VACUUM FULL")


def write_queries(ground: Ground, count: int) -> None:
    """Write the definitions that the configuration refers to."""
    folder = ground.home / "sql"
    folder.mkdir(exist_ok=True)
    for number in range(1, count + 1):
        (folder / f"bench_{number}.sql").write_text(_query(number) + "\n")


def write_config(ground: Ground, count: int, *, workers: int, schedule: object) -> None:
    """Write a configuration in which all views have one schedule."""
    view = {"kind": "materialized_view", "key": ["id"], "strategy": "concurrent"}
    config = {
        "databases": {
            DATABASE: {"conninfo": "${DATABASE_URL}", "max_parallel": workers},
        },
        "defaults": {"schedule": schedule},
        "views": {f"bench_{number}": view for number in range(1, count + 1)},
        "server": {"listen": "127.0.0.1:0"},
    }
    dumper = yaml.CSafeDumper
    dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign] # no view is an alias
    written = ground.config.with_suffix(".new")
    written.write_text(yaml.dump(config, Dumper=dumper, sort_keys=False))
    written.replace(ground.config)


def _make_source(connection: Connection, count: int) -> None:
    connection.execute(
        "CREATE TABLE bench_source AS"
        " SELECT g AS id, g / %s::int + 1 AS part, 'label ' || g AS label, g * 1.5 AS amount"
        " FROM generate_series(0, %s::int * %s::int - 1) AS g",
        [ROWS, ROWS, count],
    )
    connection.execute("ALTER TABLE bench_source ADD PRIMARY KEY (id)")
    connection.execute("CREATE INDEX ON bench_source (part)")
    connection.execute("ANALYZE bench_source")


def _name(number: int) -> sql.Identifier:
    return sql.Identifier(f"bench_{number}")


def _query(number: int) -> str:
    return f"SELECT id, label, amount FROM bench_source WHERE part = {number}"
