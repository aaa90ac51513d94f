"""`refresher doctor`, called in this process."""

import pytest
from psycopg.conninfo import make_conninfo

from tests.conftest import Database
from tests.documented import documents, shape
from tests.integration.cli.conftest import Commands
from tests.project import materialized

NUMBERS = materialized("SELECT id FROM numbered")
AWAY = {"conninfo": "host=/nowhere dbname=away password=hunter2"}
HERE = {"conninfo": "${DATABASE_URL}"}


@pytest.fixture
def applied(commands: Commands) -> Commands:
    commands.configure({"numbers": NUMBERS})
    commands.apply()
    return commands


def test_notes_only_is_well(applied: Commands) -> None:
    shown = applied.run("doctor")
    assert (shown.code, shown.stderr) == (0, "")
    head, *_, last = shown.stdout.splitlines()
    assert head.startswith("crm: PostgreSQL ")
    assert head.endswith(", as postgres")
    assert last.startswith("crm: 0 errors, 0 warnings, ")
    assert "\nnote     refresher connects as postgres, a superuser\n" in shown.stdout


def test_what_is_wrong_comes_first_in_lines_that_fit(applied: Commands, database: Database) -> None:
    with database.connect() as connection:
        connection.execute("REFRESH MATERIALIZED VIEW numbers WITH NO DATA")
        connection.execute("DELETE FROM refresher.migration")
    shown = applied.run("doctor")
    assert shown.code == 1
    lines = shown.stdout.splitlines()
    kinds = [line.split()[0] for line in lines if line.startswith(("error", "warning", "note"))]
    assert kinds == sorted(kinds, key=["error", "warning", "note"].index)
    assert {"error", "warning", "note"} == set(kinds)
    assert "           DROP SCHEMA refresher CASCADE;" in lines
    assert max(map(len, lines)) <= 80


def test_one_database_that_is_away_keeps_no_other_from_being_looked_at(
    applied: Commands,
) -> None:
    applied.configure(
        {"numbers": NUMBERS | {"database": "crm"}}, databases={"away": AWAY, "crm": HERE}
    )
    shown = applied.run("doctor")
    assert shown.code == 3
    assert shown.stderr.startswith("refresher: can't connect to database 'away'")
    assert "hunter2" not in shown.stderr
    assert shown.stdout.startswith("crm: PostgreSQL ")

    told = applied.run("doctor", "--json")
    assert told.code == 3
    away, here = told.json()
    assert (away["database"], away["server"], away["findings"]) == ("away", None, [])
    assert away["error"].startswith("can't connect")
    assert here["error"] is None
    assert here["server"]["pooler"] is None


def test_a_configuration_that_is_wrong_is_2(commands: Commands) -> None:
    commands.configure({"numbers": NUMBERS | {"nonsense": 1}})
    assert commands.run("doctor").code == 2
    assert commands.run("doctor", "--json").stdout == ""


@pytest.mark.parametrize("option", [["--major", "16"], ["--role", "etl"]])
def test_what_is_for_sql_is_refused_without_it(applied: Commands, option: list[str]) -> None:
    refused = applied.run("doctor", *option)
    assert refused.code == 2
    assert f"{option[0]} is for --sql" in refused.stderr


@pytest.mark.parametrize("major", ["13", "19", "x"])
def test_a_major_nobody_knows_is_refused(applied: Commands, major: str) -> None:
    assert applied.run("doctor", "--sql", "--major", major).code == 2


def test_a_recipe_needs_no_server_for_a_major(commands: Commands) -> None:
    commands.environment["DATABASE_URL"] = make_conninfo("", host="/nowhere", dbname="shop")
    commands.configure({"numbers": NUMBERS | {"owner": "keeper"}})
    shown = commands.run("doctor", "--sql", "--major", "16", "--role", "etl")
    assert (shown.code, shown.stderr) == (0, "")
    assert "CREATE ROLE etl LOGIN;" in shown.stdout
    assert "GRANT CONNECT ON DATABASE shop TO etl;" in shown.stdout
    assert "GRANT keeper TO etl;" in shown.stdout
    assert "transaction_timeout" not in shown.stdout
    assert commands.run("doctor", "--sql").code == 3


def test_a_recipe_names_what_the_server_knows(applied: Commands, database: Database) -> None:
    applied.configure({"others": materialized("SELECT id FROM numbered")})
    shown = applied.run("doctor", "--sql")
    assert shown.code == 0
    assert "CREATE ROLE refresher_daemon LOGIN;" in shown.stdout
    assert f"GRANT CONNECT, TEMPORARY ON DATABASE {database.name} TO refresher_daemon;" in (
        shown.stdout
    )
    assert "GRANT SELECT ON public.numbered TO refresher_daemon;" in shown.stdout
    with database.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(shown.stdout.encode())


def test_documents_are_as_they_are_shown(applied: Commands, database: Database) -> None:
    with database.connect() as connection:
        connection.execute("GRANT SELECT ON numbers TO PUBLIC")
    (report,), (recipe,) = documents("refresher doctor")
    (told,) = applied.run("doctor", "--json").json()
    findings = told.pop("findings")
    (readers,) = [finding for finding in findings if finding["topic"] == "readers"]
    assert shape({**told, "findings": [readers]}) == shape(report)
    assert {finding["severity"] for finding in findings} == {"note"}
    (printed,) = applied.run("doctor", "--sql", "--json").json()
    assert shape(printed) == shape(recipe)
    assert all(statement.endswith(";") for statement in printed["sql"])
