from collections.abc import Iterator
from datetime import datetime

import pytest

from refresher.postgres.sessions import Connection
from refresher.store.presence import beat
from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.project import GATED, gate_shut, gated, joining, materialized, open_gate, refreshing
from tests.waiting import wait_until

VIEWS = {
    "numbers": materialized("SELECT id FROM numbered"),
    "numbers_v": {"kind": "view", "query": "SELECT id FROM numbers"},
    "doubled": materialized("SELECT id, 2 * id AS twice FROM numbers_v"),
}


@pytest.fixture
def applied(commands: Commands) -> Commands:
    commands.configure(VIEWS)
    commands.apply()
    return commands


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as opened:
        yield opened


def test_one_line_says_what_was_done(applied: Commands, connection: Connection) -> None:
    connection.execute("INSERT INTO numbered VALUES (11), (12); DELETE FROM numbered WHERE id = 1")
    done = applied.run("run-now", "numbers")
    assert (done.code, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("numbers: succeeded in ")
    assert ", concurrent, 11 rows (+2 ~0 -1), as of 20" in line
    assert connection.execute("SELECT max(id) AS newest FROM numbers").fetchone() == {"newest": 12}


def test_all_are_refreshed_each_after_what_it_reads(
    applied: Commands, connection: Connection
) -> None:
    connection.execute("INSERT INTO numbered VALUES (11)")
    done = applied.run("run-now", "--all", "--json")
    assert (done.code, done.stderr) == (0, "")
    doubled, numbers = done.json()  # newest first
    assert (doubled["view"], numbers["view"]) == ("doubled", "numbers")
    assert datetime.fromisoformat(doubled["as_of"]) > datetime.fromisoformat(numbers["finished_at"])
    for run in (doubled, numbers):
        assert (run["trigger"], run["outcome"], run["rows"]) == ("manual", "succeeded", 11)
    assert connection.execute("SELECT max(twice) AS m FROM doubled").fetchone() == {"m": 22}


def test_a_run_is_what_the_documentation_says(applied: Commands) -> None:
    (run,) = applied.run("run-now", "numbers", "--json").json()
    assert set(run) == set(
        "view due_at trigger strategy reason outcome attempt started_at finished_at as_of"  # noqa: SIM905 - as the documentation lists them
        " duration_seconds queue_wait_seconds lock_wait_seconds rows bytes rows_inserted"
        " rows_updated rows_deleted failure error worker".split()
    )
    assert applied.run("history", "numbers", "--limit", "1", "--json").json() == [run]


def test_the_strategy_can_be_chosen(applied: Commands) -> None:
    (run,) = applied.run("run-now", "numbers", "--strategy", "full", "--json").json()
    assert run["strategy"] == "full"


def test_a_failure_is_told_and_keeps_no_other_from_it(applied: Commands) -> None:
    applied.configure({**VIEWS, "numbers": {**VIEWS["numbers"], "checks": {"min_rows": 11}}})
    done = applied.run("run-now", "--all")
    assert done.code == 1
    assert done.stdout.startswith("doubled: succeeded")
    assert done.stderr.startswith("numbers: failed after ")
    assert ": check: check min_rows: " in done.stderr
    assert [run["failure"] for run in applied.run("history", "numbers", "--json").json()] == [
        "check",
        None,
    ]
    assert applied.run("run-now", "numbers", "--json").json()[0]["failure"] == "check"


def test_a_view_that_was_never_applied_is_told_how(applied: Commands) -> None:
    applied.configure({**VIEWS, "new": materialized("SELECT id FROM numbered")})
    done = applied.run("run-now", "new", "numbers")
    assert done.code == 1
    assert done.stdout.startswith("numbers: succeeded")
    assert "new: failed" in done.stderr
    assert "public.new does not exist; run `refresher apply`" in done.stderr


def test_a_plain_view_has_nothing_to_refresh(applied: Commands) -> None:
    done = applied.run("run-now", "numbers_v")
    assert (done.code, done.stdout) == (2, "")
    assert "'numbers_v' is a plain view" in done.stderr


def test_a_database_without_a_store_is_told_how(applied: Commands, bare_database: Database) -> None:
    applied.environment["DATABASE_URL"] = bare_database.conninfo
    done = applied.run("run-now", "--all")
    assert (done.code, done.stdout) == (1, "")
    assert "run `refresher apply`" in done.stderr


def test_without_a_daemon_nobody_can_be_asked(applied: Commands) -> None:
    done = applied.run("run-now", "numbers", "--no-wait")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr == (
        "refresher: no daemon is running that knows numbers; start `refresher run`, or leave out"
        " --no-wait\n"
    )


def test_a_daemon_that_does_not_know_the_view_can_not_be_asked(
    applied: Commands, connection: Connection
) -> None:
    beat(connection, worker="other/1/1", kind="daemon", views=["doubled"])
    assert applied.run("run-now", "numbers", "--no-wait").code == 1
    beat(connection, worker="third/1/1", kind="command", views=["numbers"])
    assert applied.run("run-now", "numbers", "--no-wait").code == 1
    done = applied.run("run-now", "doubled", "--no-wait", "--strategy", "full", "--json")
    assert done.code == 0
    (asked,) = done.json()
    row = connection.execute("SELECT * FROM refresher.request").fetchone()
    assert row is not None
    assert (row["view"], row["strategy"]) == ("doubled", "full")
    assert asked == {"view": "doubled", "requested_at": row["requested_at"].isoformat()}
    assert "@" in row["requested_by"]


def test_a_refresh_in_flight_is_joined(commands: Commands, connection: Connection) -> None:
    commands.configure({"slow": gated()})
    commands.apply()
    with gate_shut(connection), commands.start("run-now", "slow", "--json") as first:
        wait_until(lambda: refreshing(connection), what="the first refresh")
        with commands.start("run-now", "slow") as second:
            wait_until(lambda: joining(connection), what="the second command")
            open_gate(connection)
            joined, begun = second.finished(), first.finished()
    assert (begun.code, joined.code) == (0, 0)
    assert joined.stdout.startswith("slow: joined a refresh in flight that succeeded in ")
    assert commands.run("history", "slow", "--limit", "1", "--json").json() == begun.json()


def test_a_refresh_in_flight_that_began_too_early_is_not_enough(
    commands: Commands, connection: Connection
) -> None:
    commands.configure(
        {
            "numbers": materialized("SELECT id FROM numbered"),
            "below": materialized(
                f"SELECT gate.*, (SELECT max(id) FROM numbers) AS newest FROM ({GATED}) AS gate"
            ),
        }
    )
    commands.apply()
    connection.execute("INSERT INTO numbered VALUES (99)")
    with gate_shut(connection), commands.start("run-now", "below", "--json") as early:
        wait_until(lambda: refreshing(connection), what="the early refresh")
        with commands.start("run-now", "--all", "--json") as both:
            wait_until(lambda: joining(connection), what="the second command")
            open_gate(connection)
            assert early.finished().code == 0
            below, numbers = both.finished().json()
    assert (below["view"], numbers["view"]) == ("below", "numbers")
    assert datetime.fromisoformat(below["as_of"]) >= datetime.fromisoformat(numbers["finished_at"])
    assert connection.execute("SELECT newest FROM below").fetchone() == {"newest": 99}


def test_no_more_are_refreshed_at_once_than_allowed(
    commands: Commands, connection: Connection
) -> None:
    commands.configure(
        {name: gated() for name in ("one", "two", "three")},
        databases={"crm": {"conninfo": "${DATABASE_URL}", "max_parallel": 2}},
    )
    commands.apply()
    with gate_shut(connection), commands.start("run-now", "--all") as command:
        wait_until(lambda: len(refreshing(connection)) == 2, what="two refreshes")
        open_runs = "SELECT count(*) FROM refresher.run WHERE outcome IS NULL"
        assert connection.execute(open_runs).fetchone() == {"count": 2}
        open_gate(connection)
        assert command.finished().code == 0
