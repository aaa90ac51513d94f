"""Seven views that are always due, plain ones on top, their tables, and a witness of every success.

Two of them are a group: a maintained table, and what reads it.

Each definition embeds the xmax of its snapshot, so that contents tell which refresh made them, and
shows the generation of its source rows, of which a commit replaces all, and its stamp.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from refresher.config.load import load_config
from refresher.config.model import Config, Kind
from refresher.definitions.apply import apply
from refresher.definitions.populate import Populator
from refresher.postgres.sessions import Connection
from refresher.refresh.session import Session
from tests.faults.history import Subject
from tests.servers import endpoint_of

ROWS = 20

_SOURCES = """
CREATE TABLE orders (id int PRIMARY KEY, generation bigint NOT NULL, stamped_at timestamptz)
WITH (fillfactor = 40);
CREATE TABLE reloads (id int PRIMARY KEY, generation bigint NOT NULL, stamped_at timestamptz);
INSERT INTO orders SELECT id, 0, now() FROM generate_series(1, {rows}) AS id;
INSERT INTO reloads SELECT id, 0, now() FROM generate_series(1, {rows}) AS id;
"""

_MADE_BY = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS made_by"


@dataclass(frozen=True, slots=True)
class _Definition:
    query: str
    source: str = "orders"
    upstream: str | None = None
    kind: Kind = Kind.MATERIALIZED_VIEW
    group: str | None = None

    @property
    def configured(self) -> str:
        """What the configuration says of it."""
        group = "" if self.group is None else f", group: {self.group}"
        return f"{{kind: {self.kind}, key: [id]{group}}}"


_DEFINITIONS = {
    "plain": _Definition(f"SELECT id, generation, stamped_at, {_MADE_BY} FROM orders"),
    "ordered": _Definition(
        f"SELECT id, generation, stamped_at, {_MADE_BY} FROM orders ORDER BY id DESC"
    ),
    "slow": _Definition(
        "WITH nap AS MATERIALIZED (SELECT pg_sleep(2))"
        f" SELECT id, generation, stamped_at, {_MADE_BY} FROM orders CROSS JOIN nap"
    ),
    "reloaded": _Definition(
        f"SELECT id, generation, stamped_at, {_MADE_BY} FROM reloads", source="reloads"
    ),
    "through": _Definition(
        f"SELECT id, generation, stamped_at, made_by AS read_from, {_MADE_BY} FROM plain_v",
        upstream="plain",
    ),
    "kept": _Definition(
        f"SELECT id, generation, stamped_at, {_MADE_BY} FROM orders", kind=Kind.TABLE, group="kin"
    ),
    "akin": _Definition(
        f"SELECT id, generation, stamped_at, made_by AS read_from, {_MADE_BY} FROM kept",
        upstream="kept",
        group="kin",
    ),
}
_PLAIN_VIEWS = {
    "plain_v": "SELECT * FROM plain",
    "both_v": "SELECT p.id, p.stamped_at, r.stamped_at AS reloads_stamped_at"
    " FROM plain_v AS p JOIN reloaded AS r USING (id)",
    "direct_v": "SELECT * FROM orders",
}
_WINDOWS: dict[str, tuple[tuple[str, str], ...]] = {
    **{name: ((definition.source, "stamped_at"),) for name, definition in _DEFINITIONS.items()},
    "plain_v": (("orders", "stamped_at"),),
    "both_v": (("orders", "stamped_at"), ("reloads", "reloads_stamped_at")),
    "direct_v": (("orders", "stamped_at"),),
}
"""Each view's sources, and the column that shows a source's stamps."""

# In the transaction of each refresh: what is written here is committed with it or not at all.
_WITNESS = """
CREATE SCHEMA witness;
CREATE TABLE witness.success (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view text, run bigint, due_at timestamptz, as_of timestamptz, data_as_of timestamptz,
    watermark pg_snapshot, transaction xid8, taken_at timestamptz, upstreams_seen jsonb,
    lineage text
);
CREATE FUNCTION witness.write_down() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO witness.success (
        view, run, due_at, as_of, data_as_of, watermark, transaction, taken_at, upstreams_seen,
        lineage
    )
    SELECT
        new.view, new.run, r.due_at, new.as_of, new.data_as_of, new.watermark,
        pg_current_xact_id(), f.taken_at, new.upstreams_seen, new.lineage
    FROM refresher.run AS r
    JOIN refresher.fence AS f ON f.view = r.view
    WHERE r.id = new.run;
    RETURN NULL;
END
$$;
CREATE TRIGGER write_down AFTER INSERT OR UPDATE ON refresher.state
FOR EACH ROW EXECUTE FUNCTION witness.write_down();
"""


def write_config(folder: Path) -> Path:
    """Write the views' configuration; it takes the database from DATABASE_URL."""
    (folder / "sql").mkdir(parents=True)
    views = []
    for name, query in _PLAIN_VIEWS.items():
        (folder / "sql" / f"{name}.sql").write_text(query)
        views.append(f"  {name}: {{kind: view}}")
    for name, definition in _DEFINITIONS.items():
        (folder / "sql" / f"{name}.sql").write_text(definition.query)
        views.append(f"  {name}: {definition.configured}")
    path = folder / "config.yaml"
    path.write_text(
        'databases: {crm: {conninfo: "${DATABASE_URL}"}}\n'
        "defaults: {schedule: {every: 1s}}\n"
        "views:\n" + "\n".join(views) + "\n"
        "server: {listen: 127.0.0.1:0}\n"
    )
    return path


def subjects(config: Config) -> Mapping[str, Subject]:
    """What the checker must know of each view."""
    return {
        name: Subject(
            schedule=config.views[name].schedule,
            source=definition.source,
            rows=ROWS,
            upstream=definition.upstream,
            group=definition.group,
        )
        for name, definition in _DEFINITIONS.items()
    }


def readers() -> Mapping[str, str | None]:
    """The views that are refreshed, and the one that each reads."""
    return {name: definition.upstream for name, definition in _DEFINITIONS.items()}


def plain_views() -> frozenset[str]:
    """The plain views on top."""
    return frozenset(_PLAIN_VIEWS)


def windows() -> Iterator[tuple[str, str, str]]:
    """View, source, and the column of the view that shows that source's stamps."""
    for view, shown in _WINDOWS.items():
        for source, column in shown:
            yield view, source, column


def create_sources(connection: Connection) -> None:
    """Create the tables the views read."""
    connection.execute(_SOURCES.format(rows=ROWS))


def create_views(path: Path, conninfo: str) -> Config:
    """Apply the configuration: create the views and populate them."""
    config = load_config(path, {"DATABASE_URL": conninfo})
    session = Session(endpoint_of(conninfo), worker="scenario/0/0")
    try:
        applied = apply(
            Populator(
                session=session,
                database=config.databases["crm"],
                views=config.views,
                emit=lambda _event: None,
                began=lambda _discharge: None,
            )
        )
    finally:
        session.discard()
    assert applied.succeeded, applied.steps
    return config


def install_witness(connection: Connection) -> None:
    """Have every success written down by its own transaction; needs a superuser."""
    connection.execute(_WITNESS)
