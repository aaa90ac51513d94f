from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from refresher.config.model import Default, Every, Kind
from refresher.graph import Graph
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.store.presence import beat
from refresher.store.registry import forget_abandoned, register
from tests.integration.store.conftest import make_known, make_view, values
from tests.integration.store.test_presence import silence

QUERIES = load_queries("refresher.store", "store.sql")
HOUR = timedelta(hours=1)


def registered(connection: Connection) -> dict[str, dict[str, Any]]:
    rows = connection.execute("SELECT *, xmin::text AS version FROM refresher.view")
    return {row["name"]: row for row in rows}


def versions(connection: Connection) -> Mapping[str, str]:
    return {name: row["version"] for name, row in registered(connection).items()}


def test_what_the_configuration_says_is_registered(connection: Connection) -> None:
    views = {
        "base": make_view("base", schedule=Every(every=HOUR), max_staleness=3 * HOUR),
        "seen": make_view("seen", kind=Kind.VIEW),
        "top": make_view("top", schedule=Every(every=HOUR), max_staleness=Default.DERIVED),
        "free": make_view("free", max_staleness=None),
    }
    reads = {"seen": {"base"}, "top": {"seen", "free"}}
    graph = Graph(
        {name: frozenset(reads.get(name, ())) for name in views},
        frozenset({"base", "top", "free"}),
        {"seen": frozenset({"crm.others"})},
    )

    register(connection, views, graph, max_parallel=3)

    told = registered(connection)
    assert {name: row["kind"] for name, row in told.items()} == {
        name: view.kind for name, view in views.items()
    }
    assert told["top"]["upstreams"] == ["base", "free"]
    assert told["top"]["unmanaged"] == told["seen"]["unmanaged"] == ["crm.others"]
    assert told["base"]["upstreams"] == told["base"]["unmanaged"] == []
    limits = {name: row["max_staleness"] for name, row in told.items()}
    assert limits == {"base": 3 * HOUR, "seen": 3 * HOUR, "top": None, "free": None}
    assert values(connection, "SELECT view FROM refresher.fence ORDER BY view") == sorted(views)
    assert values(connection, "SELECT number FROM refresher.slot ORDER BY 1") == [1, 2, 3]


def test_registering_again_writes_nothing(connection: Connection) -> None:
    views = make_known(connection, "a", "b")
    graph = Graph({name: frozenset() for name in views}, frozenset(views))
    tables = ("view", "fence", "slot")
    state = "SELECT array_agg(xmin::text || ctid ORDER BY ctid) FROM refresher."
    before = [values(connection, state + table) for table in tables]

    register(connection, views, graph, max_parallel=2)

    assert [values(connection, state + table) for table in tables] == before


def test_only_what_changed_is_written(connection: Connection) -> None:
    views = make_known(connection, "a", "b")
    before = versions(connection)
    views["b"] = replace(views["b"], max_staleness=HOUR)
    graph = Graph({"a": frozenset(), "b": frozenset("a")}, frozenset(views))

    register(connection, views, graph, max_parallel=1)

    after = registered(connection)
    assert after["a"]["version"] == before["a"]
    assert (after["b"]["max_staleness"], after["b"]["upstreams"]) == (HOUR, ["a"])
    assert values(connection, "SELECT number FROM refresher.slot ORDER BY 1") == [1, 2]


def test_views_of_a_running_configuration_are_kept(connection: Connection) -> None:
    make_known(connection, "mine", "theirs", "old")
    beat(connection, worker="me", kind="daemon", views=["mine"])
    beat(connection, worker="them", kind="command", views=["theirs"])
    beat(connection, worker="gone", kind="daemon", views=["old", "mine"])
    silence(connection, "gone")
    forget_abandoned(connection)
    # Its views are known for a while: nobody refreshes them, and somebody should see that.
    assert registered(connection).keys() == {"mine", "theirs", "old"}

    connection.execute("UPDATE refresher.worker SET seen_at = seen_at - interval '1h'")
    beat(connection, worker="me", kind="daemon", views=["mine"])
    beat(connection, worker="them", kind="command", views=["theirs"])
    forget_abandoned(connection)

    assert registered(connection).keys() == {"mine", "theirs"}
    # A fence stays: somebody may hold it.
    assert values(connection, "SELECT view FROM refresher.fence ORDER BY 1") == [
        *("mine", "old", "theirs")
    ]


def test_forgetting_does_not_compare_each_view_with_each(connection: Connection) -> None:
    names = [f"v{number}" for number in range(500)]
    make_known(connection, *names)
    beat(connection, worker="me", kind="daemon", views=names)

    plan = connection.execute(
        b"EXPLAIN " + QUERIES["forget_views"].as_bytes(), {"forgotten_after": HOUR}
    ).fetchall()

    assert any("hashed SubPlan" in row["QUERY PLAN"] for row in plan)


def test_a_view_without_a_name_in_common_sql_is_registered(connection: Connection) -> None:
    name = "Größe \"1\"; 'x' \\ {y}"
    make_known(connection, name)

    assert values(connection, "SELECT view FROM refresher.freshness") == [name]


def test_no_views_are_registered_too(connection: Connection) -> None:
    register(connection, {}, Graph({}, frozenset()), max_parallel=1)

    assert registered(connection) == {}
