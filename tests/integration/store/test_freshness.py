"""`refresher.freshness` says in SQL what freshness.py and the graph say in Python."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from refresher import freshness
from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Default, Every, Kind, MaxStaleness, Secret, View
from refresher.freshness import LONGEST_PATH
from refresher.graph import Graph
from refresher.names import RelationName
from refresher.observe.model import ViewSnapshot
from refresher.observe.snapshot import read_snapshot
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.store.registry import register
from refresher.store.state import read_clock
from tests.conftest import Database

HOUR = timedelta(hours=1)
NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
MOMENT = timedelta(minutes=1)
"""More than passes between two readings, less than lies between an age and a limit."""

# Ages end in a half hour and limits in a whole one, so that no state depends on the moment.
ages = st.integers(0, 5).map(lambda hours: (hours + 0.5) * HOUR)
LINEAGES = {
    "here": "refresher.lineage()",
    "elsewhere": "'1' || refresher.lineage()",
    "before a failover": "split_part(refresher.lineage(), '/', 1) || '/000000FF'",
    "not told": "NULL",
}
"""How each is said in SQL."""
limits = st.none() | st.integers(1, 5).map(lambda hours: hours * HOUR)


@dataclass(frozen=True)
class Stored:
    """What the store has of a view, by age."""

    as_of: timedelta
    data_as_of: timedelta | None
    is_of_what_stands: bool
    lineage: str = "here"
    oldest: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relation:
    """A view, as it is configured and as it stands."""

    kind: Kind
    reads: frozenset[str]
    unmanaged: frozenset[str]
    max_staleness: MaxStaleness
    target_lag: timedelta | None
    stands: str
    stored: Stored | None
    outcomes: tuple[str | None, ...]


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Relation]:
    names = [f"v {number}" for number in range(draw(st.integers(1, 6)))]
    world = {}
    for position, name in enumerate(names):
        world[name] = Relation(
            kind=draw(st.sampled_from(Kind)),
            reads=frozenset(name for name in names[:position] if draw(st.booleans())),
            unmanaged=draw(st.sampled_from([frozenset[str]()] * 5 + [frozenset({"x.others"})])),
            max_staleness=draw(limits | st.just(Default.DERIVED)),
            target_lag=draw(limits),
            stands=draw(
                st.sampled_from(["as configured"] * 4 + ["empty"] * 2 + ["table", "missing"])
            ),
            stored=draw(
                st.none()
                | st.builds(
                    Stored,
                    ages | st.just(-HOUR / 2),  # the clock was put back since
                    st.none() | ages,
                    st.integers(0, 3).map(bool),
                    st.sampled_from(["here"] * 5 + [*LINEAGES]),
                    st.lists(st.sampled_from(names), max_size=LONGEST_PATH).map(tuple),
                )
            ),
            outcomes=tuple(
                draw(st.lists(st.sampled_from(["succeeded", "failed", None]), max_size=2))
            ),
        )
    return world


def view_of(name: str, relation: Relation) -> View:
    return View(
        name=name,
        database="crm",
        relation=RelationName("World", name),
        kind=relation.kind,
        query="SELECT 1",
        query_path=Path("v.sql"),
        max_staleness=relation.max_staleness,
        schedule=Every(every=HOUR),
    )


def build(connection: Connection, world: dict[str, Relation], now: datetime) -> None:
    connection.execute(
        'DROP SCHEMA IF EXISTS "World" CASCADE; CREATE SCHEMA "World";'
        " TRUNCATE refresher.view, refresher.state, refresher.run"
    )
    views = {name: view_of(name, relation) for name, relation in world.items()}
    register(connection, views, graph_of(world), max_parallel=1)
    for name, relation in world.items():
        make(connection, name, relation)
        if relation.stored is not None:
            remember(connection, name, relation.stored, now)
        for outcome in relation.outcomes:
            connection.execute(
                "INSERT INTO refresher.run (view, due_at, trigger, attempt, worker, outcome)"
                " VALUES (%s, now(), 'manual', 1, 'w', %s)",
                [name, outcome],
            )
        connection.execute(
            "UPDATE refresher.view SET target_lag = %s WHERE name = %s", [relation.target_lag, name]
        )


def make(connection: Connection, name: str, relation: Relation) -> None:
    form = {
        ("as configured", Kind.VIEW): "CREATE VIEW {} AS SELECT 1",
        ("as configured", Kind.MATERIALIZED_VIEW): "CREATE MATERIALIZED VIEW {} AS SELECT 1",
        ("empty", Kind.VIEW): "CREATE MATERIALIZED VIEW {} AS SELECT 1",
        ("empty", Kind.MATERIALIZED_VIEW): "CREATE MATERIALIZED VIEW {} AS SELECT 1 WITH NO DATA",
        ("table", Kind.VIEW): "CREATE TABLE {} ()",
        ("table", Kind.MATERIALIZED_VIEW): "CREATE TABLE {} ()",
    }.get((relation.stands, relation.kind))
    if form is not None:
        connection.execute(sql.SQL(form).format(sql.Identifier("World", name)))


def remember(connection: Connection, name: str, stored: Stored, now: datetime) -> None:
    connection.execute(
        "INSERT INTO refresher.state"
        " (view, relation, as_of, data_as_of, watermark, run, rows, oldest, lineage)"
        " SELECT %s, coalesce(max(c.oid) FILTER (WHERE %s), 1), %s, %s, '1:1:', 1, 0, %s, "
        + LINEAGES[stored.lineage]
        + " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'World' AND c.relname = %s",
        [
            name,
            stored.is_of_what_stands,
            now - stored.as_of,
            None if stored.data_as_of is None else now - stored.data_as_of,
            list(stored.oldest) or None,
            name,
        ],
    )


def graph_of(world: dict[str, Relation]) -> Graph:
    return Graph(
        {name: relation.reads for name, relation in world.items()},
        frozenset(name for name in world if world[name].kind is Kind.MATERIALIZED_VIEW),
        {name: relation.unmanaged for name, relation in world.items()},
    )


PLAIN = Relation(
    kind=Kind.VIEW,
    reads=frozenset(),
    unmanaged=frozenset(),
    max_staleness=HOUR,
    target_lag=None,
    stands="as configured",
    stored=None,
    outcomes=(),
)
EMPTIED = replace(
    PLAIN,
    kind=Kind.MATERIALIZED_VIEW,
    stands="empty",
    stored=Stored(as_of=HOUR / 2, data_as_of=HOUR / 2, is_of_what_stands=True),
)


@given(world=worlds())
@example(world={"m": EMPTIED, "v": replace(PLAIN, reads=frozenset({"m"}))})
@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example clears it
)
def test_sql_and_python_agree(connection: Connection, world: dict[str, Relation]) -> None:
    now = read_clock(connection)
    build(connection, world, now)

    told = {row["view"]: row for row in connection.execute("SELECT * FROM refresher.freshness")}
    crm = DatabaseConfig(alias="crm", conninfo=Secret(""))
    views = {name: view_of(name, relation) for name, relation in world.items()}
    graph = graph_of(world)
    snapshot = read_snapshot(connection, crm, views, graph)

    assert told.keys() == world.keys()
    for name, seen in snapshot.views.items():
        expected = {
            "relation": str(views[name].relation),
            "kind": views[name].kind.value,
            "as_of": seen.stored.as_of,
            "max_staleness": seen.max_staleness,
            "last_outcome": seen.last_run and seen.last_run.outcome,
            "last_started_at": seen.last_run and seen.last_run.started_at,
            "last_finished_at": seen.last_run and seen.last_run.finished_at,
            "state": freshness.state(
                seen.staleness(now), world[name].target_lag, seen.max_staleness
            ).value,
        }
        assert {column: told[name][column] for column in expected} == expected
        same_moment(told[name]["data_as_of"], seen.data_as_of(now), exactly=not seen.live)
        assert (told[name]["staleness"] is None) == (told[name]["data_as_of"] is None)
        if told[name]["staleness"] is not None:
            same_moment(now - told[name]["staleness"], seen.data_as_of(now), exactly=False)
        trusted(seen, world[name].stored)
        if views[name].refreshed:
            assert read_upstreams(connection, name, graph) == {
                upstream: freshness.Age(
                    snapshot.views[upstream].data_as_of(now), snapshot.views[upstream].oldest
                )
                for upstream in graph.refreshed_upstreams(name)
            }


def trusted(seen: ViewSnapshot, stored: Stored | None) -> None:
    """What is recorded of what stands counts exactly where freshness.py says so."""
    found = seen.stored
    if stored is None or not (stored.is_of_what_stands and found.populated and found.relation):
        assert (found.as_of, found.distrust, found.success_run) == (None, None, None)
        return
    lineage = {"here": "7/1", "elsewhere": "17/1", "before a failover": "7/FF", "not told": None}
    expected = freshness.distrust(
        lineage[stored.lineage], NOON - stored.as_of, here="7/1", now=NOON
    )
    assert found.distrust == expected
    assert (found.as_of is None) == (expected is not None)
    assert found.rows == 0  # which the next refresh is compared with all the same


def read_upstreams(connection: Connection, view: str, graph: Graph) -> dict[str, freshness.Age]:
    """What a refresh that began now would record of the contents it reads."""
    query = load_queries("refresher.refresh", "attempt.sql")["read_upstreams"]
    rows = connection.execute(query, {"upstreams": list(graph.refreshed_upstreams(view))})
    return {row["name"]: freshness.Age(row["data_as_of"], tuple(row["oldest"])) for row in rows}


def same_moment(told: datetime | None, seen: datetime | None, *, exactly: bool) -> None:
    if told is None or seen is None or exactly:
        assert told == seen
    else:
        assert abs(told - seen) < MOMENT


def test_an_application_may_read_it_and_nothing_else(
    connection: Connection, database: Database, make_role: Callable[..., str]
) -> None:
    role = make_role("application")
    build(connection, {"v": PLAIN}, read_clock(connection))
    for statement in (
        "GRANT USAGE ON SCHEMA refresher TO {}",
        "GRANT SELECT ON refresher.freshness TO {}",
    ):
        connection.execute(sql.SQL(statement).format(sql.Identifier(role)))

    with database.connect_as(role) as application:
        rows = application.execute("SELECT view, state FROM refresher.freshness").fetchall()

        assert rows == [{"view": "v", "state": "fresh"}]
        for hidden in ("view", "state", "run", "worker", "fence", "request"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                application.execute(
                    sql.SQL("SELECT FROM {}").format(sql.Identifier("refresher", hidden))
                )


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (HOUR, {"state": "unknown", "staleness": None}),
        (timedelta(milliseconds=90), {"state": "fresh", "staleness": timedelta()}),
    ],
    ids=["put back", "imprecise"],
)
def test_a_clock_that_went_back(
    connection: Connection, ahead: timedelta, expected: dict[str, Any]
) -> None:
    stored = Stored(as_of=HOUR, data_as_of=HOUR, is_of_what_stands=True)
    view = replace(PLAIN, kind=Kind.MATERIALIZED_VIEW, stored=stored)
    build(connection, {"v": view}, read_clock(connection))

    with connection.transaction():
        connection.execute(
            "UPDATE refresher.state SET (as_of, data_as_of) = (SELECT t, t FROM"
            " (SELECT clock_timestamp() + %s AS t) AS ahead)",
            [ahead],
        )
        row = connection.execute("SELECT state, staleness FROM refresher.freshness").fetchone()

    assert row == expected


@pytest.mark.parametrize("relation", ["freshness", "contents"])
def test_which_server_it_is_is_not_asked_for_every_view(
    connection: Connection, relation: str
) -> None:
    recorded = replace(EMPTIED, stands="as configured")
    world = {f"m{number}": recorded for number in range(20)}
    world |= {f"v{number}": replace(PLAIN, reads=frozenset(world)) for number in range(20)}
    build(connection, world, read_clock(connection))
    query = sql.SQL("SELECT * FROM {}").format(sql.Identifier("refresher", relation))

    with connection.transaction():
        connection.execute("SET LOCAL track_functions = 'all'")
        found = connection.execute(query).fetchall()
        asked = connection.execute(
            "SELECT pg_stat_get_xact_function_calls('refresher.lineage()'::regprocedure) AS calls"
        ).fetchone()

    assert len(found) >= 20
    assert asked is not None
    assert 1 <= asked["calls"] <= 2
