"""status, history, pause and resume."""

from datetime import datetime, timedelta

import pytest

from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.project import materialized

VIEWS = {
    "numbers": materialized("SELECT id FROM numbered", schedule={"every": "1h"}),
    "numbers_v": {"kind": "view", "query": "SELECT id FROM numbers"},
}


@pytest.fixture
def applied(commands: Commands) -> Commands:
    commands.configure(VIEWS)
    commands.apply()
    return commands


def test_a_row_for_every_view(applied: Commands) -> None:
    shown = applied.run("status")
    assert (shown.code, shown.stderr) == (0, "")
    head, numbers, plain = shown.stdout.splitlines()
    assert head.split("  ")[0] == "view"
    cells = [cell.strip() for cell in numbers.split("  ") if cell.strip()]
    assert cells[:2] == ["numbers", "fresh"]
    assert cells[3] == "2h 10m"
    assert cells[5].startswith("succeeded in ")
    assert plain.startswith("numbers_v")
    assert shown.stdout.isascii()


def test_a_row_is_what_the_documentation_says(applied: Commands) -> None:
    shown = applied.run("status", "numbers", "--json")
    assert (shown.code, shown.stderr) == (0, "")
    (row,) = shown.json()
    assert set(row) == set(
        "database view relation kind state as_of data_as_of staleness_seconds target_lag_seconds"  # noqa: SIM905 - as the documentation lists them
        " max_staleness_seconds last_run next_due_at waiting paused running rows_done rows_total"
        " drift drift_looked_at drift_problem refreshed_outside_at broken_checks".split()
    )
    assert (row["database"], row["view"], row["relation"]) == ("crm", "numbers", "public.numbers")
    assert (row["kind"], row["state"]) == ("materialized_view", "fresh")
    assert row["data_as_of"] == row["as_of"] == row["last_run"]["as_of"]
    assert (row["paused"], row["running"]) == (False, False)
    assert row["max_staleness_seconds"] == 7800
    assert 0 < row["staleness_seconds"] < 600


def test_what_is_missing_is_flagged(applied: Commands, database: Database) -> None:
    with database.connect() as connection:
        connection.execute("DROP VIEW numbers_v")
    shown = applied.run("status", "numbers_v")
    assert shown.code == 0
    _, row = shown.stdout.splitlines()
    assert row.split()[:2] == ["numbers_v", "unknown"]
    assert row.endswith("missing")


def test_what_was_refreshed_elsewhere_is_noted(applied: Commands, database: Database) -> None:
    with database.connect() as connection:
        connection.execute("UPDATE refresher.state SET lineage = '1/00000001'")
    _, row = applied.run("status", "numbers").stdout.splitlines()
    assert row.split()[:2] == ["numbers", "unknown"]
    assert "refreshed on another server" in row


def test_what_a_view_waits_for_is_noted(applied: Commands, database: Database) -> None:
    reader = materialized("SELECT id FROM numbers_v", schedule={"after": "upstream"})
    applied.configure({**VIEWS, "reader": reader})
    applied.apply()
    with database.connect() as connection:
        connection.execute("REFRESH MATERIALIZED VIEW numbers WITH NO DATA")
    _, row = applied.run("status", "reader").stdout.splitlines()
    assert row.endswith("waits for numbers: not refreshed yet")


def test_no_views_are_no_failure(commands: Commands) -> None:
    commands.configure({})
    shown = commands.run("status")
    assert (shown.code, shown.stdout, shown.stderr) == (0, "", "config.yaml has no views\n")
    assert commands.run("status", "--json").json() == []


def test_a_database_that_is_down_hides_no_other(applied: Commands) -> None:
    applied.configure(
        {
            "numbers": {**VIEWS["numbers"], "database": "crm"},
            "far": {**VIEWS["numbers"], "database": "away"},
        },
        databases={
            "away": {"conninfo": "host=127.0.0.1 port=1 password=hunter2"},
            "crm": {"conninfo": "${DATABASE_URL}"},
        },
    )
    shown = applied.run("status")
    assert shown.code == 3
    head, row = shown.stdout.splitlines()
    assert head.split()[:2] == ["database", "view"]
    assert row.split()[:2] == ["crm", "numbers"]
    assert "can't connect to database 'away'" in shown.stderr
    as_json = applied.run("status", "--json")
    assert as_json.code == 3
    assert [each["view"] for each in as_json.json()] == ["numbers"]
    done = applied.run("run-now", "--all")
    assert done.code == 3
    assert done.stdout.startswith("numbers: succeeded")
    assert applied.run("apply").code == 3
    assert applied.run("pause", "numbers", "far", "--for", "1h").code == 3
    assert applied.run("resume", "numbers", "--json").json() == [
        {"view": "numbers", "was_paused": True}
    ]
    assert "hunter2" not in shown.stderr + done.stderr


def test_history_is_newest_first_and_limited(applied: Commands) -> None:
    for _ in range(3):
        assert applied.run("run-now", "numbers").code == 0
    runs = applied.run("history", "numbers", "--json").json()
    assert [run["trigger"] for run in runs] == ["manual", "manual", "manual", "populate"]
    started = [datetime.fromisoformat(run["started_at"]) for run in runs]
    assert started == sorted(started, reverse=True)
    assert applied.run("history", "numbers", "--limit", "2", "--json").json() == runs[:2]
    shown = applied.run("history", "numbers", "--limit", "2")
    head, first, _ = shown.stdout.splitlines()
    assert head.split()[:3] == ["started", "outcome", "took"]
    assert "succeeded" in first
    assert "concurrent  10" in first


def test_a_view_without_runs_has_no_history(applied: Commands) -> None:
    shown = applied.run("history", "numbers_v")
    assert (shown.code, shown.stdout, shown.stderr) == (0, "", "numbers_v has no runs yet\n")
    assert applied.run("history", "numbers_v", "--json").json() == []


def test_a_view_is_paused_until_its_time_is_over_or_it_is_resumed(applied: Commands) -> None:
    (paused,) = applied.run("pause", "numbers", "--for", "4h", "--json").json()
    assert paused["view"] == "numbers"
    until = datetime.fromisoformat(paused["paused_until"])
    assert timedelta(hours=3.9) < until - datetime.now(until.tzinfo) < timedelta(hours=4.1)
    (row,) = applied.run("status", "numbers", "--json").json()
    assert row["paused"] is True
    assert applied.run("status", "numbers").stdout.rstrip().endswith("paused")
    shorter = applied.run("pause", "numbers", "--for", "1m")
    assert shorter.code == 0
    assert shorter.stdout.startswith("numbers: paused until 20")
    assert applied.run("resume", "numbers").stdout == "numbers: resumed\n"
    assert applied.run("resume", "numbers").stdout == "numbers: was not paused\n"
    assert applied.run("status", "numbers", "--json").json()[0]["paused"] is False


def test_a_paused_view_can_be_refreshed_by_hand(applied: Commands) -> None:
    assert applied.run("pause", "numbers", "--for", "4h").code == 0
    assert applied.run("run-now", "numbers").code == 0


def test_a_plain_view_has_no_schedule_to_hold(applied: Commands) -> None:
    refused = applied.run("pause", "numbers_v", "--for", "4h")
    assert (refused.code, refused.stdout) == (2, "")
    assert "there is no schedule to hold" in refused.stderr


def test_a_role_without_privileges_is_told_in_a_sentence(
    applied: Commands, database: Database, make_role: object
) -> None:
    assert callable(make_role)
    applied.environment["DATABASE_URL"] = database.conninfo_as(make_role("stranger"))
    shown = applied.run("status")
    assert (shown.code, shown.stdout) == (1, "")
    assert "may not read the schema refresher" in shown.stderr
    assert "Traceback" not in shown.stderr
