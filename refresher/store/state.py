"""Reading what the store knows of views. Nothing here writes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.numeric import Int8

from refresher.config.model import View
from refresher.freshness import Distrust
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.runs import Run, Strategy

_QUERIES = load_queries("refresher.store", "store.sql")
_FEW = 100
"""For more views no plan is kept: it would be made for a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewState:
    """One view as the database has it. Times are the database's."""

    view: str
    relation: int | None
    """The OID of what stands under its name; None if nothing does."""
    relation_kind: str | None
    populated: bool
    owner: str | None
    as_of: datetime | None
    """Of the contents that stand: None where nothing tells, whatever refresher once did."""
    data_as_of: datetime | None
    distrust: Distrust | None = None
    """Why what is recorded of the contents that stand does not tell how old they are."""
    oldest: tuple[str, ...] = ()
    """From this view to the one whose as_of is its data_as_of, or was unknown, when it was read."""
    upstreams_seen: Mapping[str, datetime | None]
    success_run: int | None
    rows: int | None
    last_change_at: datetime | None
    running: bool
    rows_done: int | None
    """How many of `rows_total` are written, while columns are being filled."""
    rows_total: int | None
    paused_until: datetime | None
    requested_at: datetime | None
    requested_strategy: Strategy | None
    unsuccessful: tuple[Run, ...]
    """Runs since the last success, oldest first, open ones included; at most 20."""


def read_clock(connection: Connection) -> datetime:
    """What time it is, in the database."""
    row = connection.execute(_QUERIES["clock"], prepare=True).fetchone()
    assert row is not None  # noqa: S101 - the query always returns one row
    now: datetime = row["now"]
    return now


def read_states(connection: Connection, views: Mapping[str, View]) -> dict[str, ViewState]:
    """The state of each of these views, in their order."""
    rows = connection.execute(
        _QUERIES["states"],
        {
            "views": list(views),
            "schemas": [view.relation.schema for view in views.values()],
            "names": [view.relation.name for view in views.values()],
        },
        prepare=len(views) <= _FEW,
    ).fetchall()
    runs = _read_unsuccessful(
        connection, {row["view"]: row["success_run"] or 0 for row in rows if row["relation"]}
    )
    found = {}
    for row in rows:
        row["upstreams_seen"] = {
            name: datetime.fromisoformat(as_of) if as_of else None
            for name, as_of in row["upstreams_seen"].items()
        }
        row["distrust"] = Distrust(row["distrust"]) if row["distrust"] else None
        row["oldest"] = tuple(row["oldest"])
        strategy = row["requested_strategy"]
        row["requested_strategy"] = Strategy(strategy) if strategy else None
        found[row["view"]] = ViewState(**row, unsuccessful=tuple(runs.get(row["view"], ())))
    return {name: found[name] for name in views if name in found}


def _read_unsuccessful(connection: Connection, since: Mapping[str, int]) -> dict[str, list[Run]]:
    rows = connection.execute(
        _QUERIES["unsuccessful_runs"],
        {"views": list(since), "since": [Int8(run) for run in since.values()]},
        prepare=len(since) <= _FEW,
    )
    runs: dict[str, list[Run]] = {}
    for row in rows:
        runs.setdefault(row["view"], []).append(Run.from_row(row))
    return runs


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The newest run of a view, and how many failed since its last success (at most 1,000)."""

    run: Run
    failures: int


def read_last_runs(connection: Connection, views: Mapping[str, View]) -> dict[str, LastRun]:
    """The newest run of each view that has one."""
    found = {}
    for row in connection.execute(_QUERIES["last_runs"], {"views": list(views)}):
        failures = row.pop("failures")
        found[row["view"]] = LastRun(run=Run.from_row(row), failures=failures)
    return found


def read_history(connection: Connection, view: str, *, limit: int) -> tuple[Run, ...]:
    """A view's newest runs first."""
    rows = connection.execute(_QUERIES["history"], {"view": view, "limit": limit})
    return tuple(map(Run.from_row, rows))


def read_usual_durations(connection: Connection, views: Collection[str]) -> dict[str, timedelta]:
    """The 95th percentile of how long each view's last 20 successes took.

    Views without any are left out, and so are all of them where there is no store yet.
    """
    row = connection.execute(_QUERIES["runs_are_kept"]).fetchone()
    if row is None or not row["present"]:
        return {}
    rows = connection.execute(_QUERIES["usual_durations"], {"views": list(views)})
    return {row["view"]: timedelta(seconds=row["seconds"]) for row in rows}


def read_median_seconds(connection: Connection, view: str) -> float | None:
    """How long a success of this view usually takes; None if there was none yet."""
    row = connection.execute(_QUERIES["median_seconds"], {"view": view}).fetchone()
    return row["seconds"] if row else None
