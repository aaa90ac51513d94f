"""`refresher destroy`, on a real database."""

import pytest

from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.project import materialized

VIEWS = {
    "numbers": materialized("SELECT id FROM numbered"),
    "report": {"kind": "view", "query": "SELECT count(*) AS numbers FROM numbered"},
}


def stands(database: Database, relation: str) -> bool:
    with database.connect() as connection:
        row = connection.execute("SELECT to_regclass(%s) AS oid", [relation]).fetchone()
    return row is not None and row["oid"] is not None


def test_a_view_that_is_no_longer_configured_is_dropped_and_forgotten(
    commands: Commands, database: Database
) -> None:
    commands.configure(VIEWS)
    commands.apply()
    commands.configure({"report": VIEWS["report"]})
    planned = commands.run("plan")
    assert planned.code == 0
    assert "note: numbers is no longer configured, and still stands: " in planned.stdout
    destroyed = commands.run("destroy", "numbers", "--yes")
    assert (destroyed.code, destroyed.stdout) == (0, "1 drop numbers\n")
    assert not stands(database, "numbers")
    assert stands(database, "report")
    with database.connect() as connection:
        runs = connection.execute("SELECT count(*) FROM refresher.run").fetchone()
    assert runs == {"count": 0}
    assert commands.run("plan").stdout == "no changes\n"


def test_nothing_goes_where_nobody_can_be_asked(commands: Commands, database: Database) -> None:
    commands.configure(VIEWS)
    commands.apply()
    refused = commands.run("destroy", "numbers")
    assert (refused.code, refused.stdout) == (2, "")
    assert "say --yes if you mean it" in refused.stderr
    assert stands(database, "numbers")


def test_what_depends_on_it_goes_only_if_it_is_named(
    commands: Commands, database: Database
) -> None:
    commands.configure(VIEWS)
    commands.apply()
    with database.connect() as connection:
        connection.execute("CREATE VIEW theirs AS SELECT id FROM numbers")
    refused = commands.run("destroy", "numbers", "--yes", "--json")
    assert refused.code == 2
    (document,) = refused.json()
    assert "public.theirs" in document["error"]
    assert stands(database, "numbers")
    allowed = commands.run("destroy", "numbers", "--yes", "--allow-drop", "public.theirs")
    assert allowed.code == 0
    assert not stands(database, "numbers")
    assert not stands(database, "theirs")


def test_a_name_nobody_knows_is_answered_with_the_nearest(commands: Commands) -> None:
    commands.configure(VIEWS)
    commands.apply()
    refused = commands.run("destroy", "number", "--yes")
    assert (refused.code, refused.stdout) == (2, "")
    assert "has no view 'number', and none was applied from it; did you mean numbers?" in (
        refused.stderr
    )


def test_a_view_in_two_databases_is_chosen_by_its_database(
    commands: Commands, database: Database, bare_database: Database
) -> None:
    commands.environment["OTHER_URL"] = bare_database.conninfo
    databases = {"crm": {"conninfo": "${DATABASE_URL}"}, "new": {"conninfo": "${OTHER_URL}"}}
    moved = {"kind": "view", "query": "SELECT 1 AS id"}
    commands.configure({"moved": moved | {"database": "crm"}}, databases=databases)
    commands.apply()
    commands.configure({"moved": moved | {"database": "new"}}, databases=databases)
    commands.apply()
    unclear = commands.run("destroy", "moved", "--yes")
    assert unclear.code == 2
    assert "'moved' is in crm and new: choose one with --database" in unclear.stderr
    chosen = commands.run("destroy", "moved", "--database", "crm", "--yes")
    assert (chosen.code, chosen.stdout) == (0, "1 drop moved\n")
    assert not stands(database, "moved")
    assert stands(bare_database, "moved")


@pytest.mark.parametrize("arguments", [[], ["numbers", "--database", "cmr"]])
def test_wrong_usage_is_2(commands: Commands, arguments: list[str]) -> None:
    commands.configure(VIEWS)
    assert commands.run("destroy", *arguments, "--yes").code == 2
