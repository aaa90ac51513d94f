"""`run-now --upstream` and `--downstream` follow what is read to its ends, and come by but once."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from refresher.postgres.sessions import Connection
from refresher.store.presence import beat
from refresher.store.state import read_clock
from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.project import GATED, gate_shut, joining, materialized, open_gate, refreshing
from tests.waiting import wait_until

# A diamond: `bottom` reads `top` through a managed plain view, and through one nobody manages.
VIEWS = {
    "top": materialized("SELECT id FROM numbered"),
    "left_v": {"kind": "view", "query": "SELECT id FROM top"},
    "left_m": materialized("SELECT id FROM left_v"),
    "right_m": materialized("SELECT id FROM others_v"),
    "bottom": materialized("SELECT id FROM left_m JOIN right_m USING (id)"),
    "page": {"kind": "view", "query": "SELECT id FROM bottom"},
    "beside": materialized("SELECT id FROM numbered"),
    "below_both": materialized("SELECT id FROM left_m JOIN beside USING (id)"),
}


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as opened:
        yield opened


@pytest.fixture
def applied(commands: Commands, connection: Connection) -> Commands:
    commands.configure({"top": VIEWS["top"]})
    commands.apply()
    connection.execute("CREATE VIEW others_v AS SELECT id FROM top")
    commands.configure(VIEWS)
    commands.apply()
    return commands


def refreshed(commands: Commands, *arguments: str) -> list[str]:
    """What a command refreshes, in the order it begins."""
    done = commands.run("run-now", *arguments, "--json")
    assert (done.code, done.stderr) == (0, "")
    return [run["view"] for run in reversed(done.json())]


def test_everything_above_is_refreshed_first_and_once(
    applied: Commands, connection: Connection
) -> None:
    asked = read_clock(connection)
    connection.execute("INSERT INTO numbered VALUES (11)")

    views = refreshed(applied, "bottom", "--upstream")

    assert (views[0], set(views[1:3]), views[3:]) == ("top", {"left_m", "right_m"}, ["bottom"])
    (row,) = connection.execute(
        "SELECT data_as_of, (SELECT max(id) FROM page) AS newest FROM refresher.freshness"
        " WHERE view = 'page'"
    ).fetchall()
    assert row["data_as_of"] > asked
    assert row["newest"] == 11


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("page --upstream", "bottom left_m right_m top"),
        ("top --upstream", "top"),
        ("bottom --downstream", "bottom"),
        ("left_v --downstream", "below_both bottom left_m"),
        ("beside --downstream", "below_both beside"),
        ("top --downstream", "below_both bottom left_m right_m top"),
        ("left_m --upstream --downstream", "below_both bottom left_m top"),
        ("bottom beside --upstream", "beside bottom left_m right_m top"),
    ],
)
def test_what_is_reached(applied: Commands, arguments: str, expected: str) -> None:
    assert sorted(refreshed(applied, *arguments.split())) == expected.split()


def test_nothing_but_tables_above(applied: Commands) -> None:
    applied.configure({"plain": {"kind": "view", "query": "SELECT id FROM numbered"}})
    applied.apply()

    done = applied.run("run-now", "plain", "--upstream")

    assert (done.code, done.stdout) == (0, "")
    assert done.stderr == (
        "nothing is refreshed above or below plain, as far as was asked: there are only base tables"
        " and plain views\n"
    )


def test_a_refresh_that_began_before_it_was_asked_for_is_not_enough(
    commands: Commands, connection: Connection
) -> None:
    commands.configure(
        {
            "top": materialized(f"SELECT gate.* FROM ({GATED}) AS gate"),
            "bottom": materialized("SELECT * FROM top"),
        }
    )
    commands.apply()
    with gate_shut(connection), commands.start("run-now", "top", "--json") as early:
        wait_until(lambda: refreshing(connection), what="the early refresh")
        asked = read_clock(connection)
        with commands.start("run-now", "bottom", "--upstream", "--json") as closure:
            wait_until(lambda: joining(connection), what="the second command")
            open_gate(connection)
            assert early.finished().code == 0
            done = closure.finished()
    assert done.code == 0
    bottom, top = done.json()
    assert (bottom["view"], top["view"]) == ("bottom", "top")
    assert datetime.fromisoformat(top["as_of"]) > asked


def test_a_daemon_refreshes_what_was_asked_for_top_down(
    commands: Commands, connection: Connection
) -> None:
    by_hand = {name: {**VIEWS[name], "schedule": "manual"} for name in ("top", "left_m")}
    commands.configure({**by_hand, "left_v": VIEWS["left_v"]})
    commands.apply()
    with commands.daemon() as daemon:
        daemon.wait_for_log("database.up")
        done = commands.run("run-now", "left_m", "--upstream", "--no-wait")
        assert done.code == 0
        daemon.wait_for_log("run.succeeded", view="left_m")
    rows = connection.execute(
        "SELECT s.view, s.data_as_of, q.requested_at FROM refresher.state AS s"
        " JOIN refresher.request AS q USING (view) ORDER BY s.as_of"
    ).fetchall()
    assert [row["view"] for row in rows] == ["top", "left_m"]
    assert all(row["data_as_of"] >= rows[0]["requested_at"] for row in rows)


def test_a_daemon_is_asked_top_down(applied: Commands, connection: Connection) -> None:
    beat(connection, worker="other/1/1", kind="daemon", views=list(VIEWS))

    done = applied.run("run-now", "page", "--upstream", "--no-wait", "--json")

    assert done.code == 0
    rows = connection.execute("SELECT view FROM refresher.request ORDER BY requested_at").fetchall()
    assert [row["view"] for row in rows] == [entry["view"] for entry in done.json()]
    assert rows[0]["view"] == "top"
    assert rows[-1]["view"] == "bottom"
    assert len(rows) == 4
