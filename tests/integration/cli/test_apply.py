import pytest

from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.project import materialized

VIEWS = {
    "evens": {"kind": "view", "query": "SELECT id FROM numbered WHERE id % 2 = 0"},
    "numbers": materialized("SELECT id FROM evens", indexes=[{"columns": ["id"]}]),
}


def test_what_is_missing_is_created_and_then_nothing_is_left_to_do(
    commands: Commands, database: Database
) -> None:
    commands.configure(VIEWS)
    applied = commands.run("apply")
    assert (applied.code, applied.stderr) == (0, "")
    evens, numbers = applied.stdout.splitlines()
    assert evens == "evens: created"
    assert numbers.startswith("numbers: created; populated: 5 rows in ")
    assert numbers.endswith("; index numbers_id_key; index numbers_id_idx; analyzed")
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == {"count": 5}
        kept = connection.execute("SELECT count(*) FROM refresher.worker").fetchone()
    assert kept == {"count": 0}
    again = commands.run("apply")
    assert (again.code, again.stdout) == (0, "evens: nothing to do\nnumbers: nothing to do\n")


def test_results_as_json(commands: Commands) -> None:
    commands.configure(VIEWS)
    applied = commands.run("apply", "--json")
    assert applied.code == 0
    evens, numbers = applied.json()
    assert evens == {
        "database": "crm",
        "view": "evens",
        "done": ["created"],
        "drift": [],
        "notes": [],
        "error": None,
    }
    assert numbers["done"][0] == "created"
    assert [row["done"] for row in commands.run("apply", "--json").json()] == [[], []]


def test_a_database_without_a_store_gets_one(commands: Commands, bare_database: Database) -> None:
    commands.environment["DATABASE_URL"] = bare_database.conninfo
    commands.configure({})
    applied = commands.run("apply")
    assert (applied.code, applied.stdout) == (0, "")
    assert applied.stderr.startswith("crm: the store is now at version 1 (initial)\n")
    assert commands.run("apply", "--json").json() == []


def test_what_differs_is_told_and_left(commands: Commands, database: Database) -> None:
    commands.configure(VIEWS)
    commands.apply()
    (commands.folder / "sql" / "evens.sql").write_text("SELECT id FROM numbered WHERE id % 4 = 0")
    applied = commands.run("apply")
    assert applied.code == 1
    assert applied.stdout == "numbers: nothing to do\n"
    assert applied.stderr == (
        "evens: differs, and was left as it is: the query that stands is another one\n"
    )
    (evens, _) = commands.run("apply", "--json").json()
    assert evens["drift"] == [
        {"aspect": "definition", "message": "the query that stands is another one"}
    ]
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM evens").fetchone() == {"count": 5}


def test_named_views_only(commands: Commands) -> None:
    commands.configure(VIEWS)
    applied = commands.run("apply", "evens")
    assert (applied.code, applied.stdout) == (0, "evens: created\n")
    assert commands.run("status", "numbers", "--json").json()[0]["state"] == "unknown"


def test_a_view_that_can_not_be_filled_keeps_no_other_from_it(commands: Commands) -> None:
    broken = materialized("SELECT id, 1 / (id - 1) AS share FROM numbered")
    commands.configure({"broken": broken, **VIEWS})
    applied = commands.run("apply")
    assert applied.code == 1
    assert "evens: created\n" in applied.stdout
    assert "numbers: created; populated" in applied.stdout
    assert "broken: can't be populated: division by zero\n" in applied.stderr


@pytest.mark.parametrize("arguments", [["apply"], ["validate", "--database"]])
def test_a_definition_postgresql_refuses_changes_nothing(
    commands: Commands, arguments: list[str]
) -> None:
    commands.configure({**VIEWS, "bad": materialized("SELECT id\nFROM numbered\nWHERE ident = 1")})
    applied = commands.run(*arguments)
    assert (applied.code, applied.stdout) == (2, "")
    assert "bad.sql:3: PostgreSQL refuses the definition of 'bad': column" in applied.stderr
    assert all(row["relation"] for row in commands.run("status", "--json").json())
    assert {row["state"] for row in commands.run("status", "--json").json()} == {"unknown"}


def test_validate_on_the_server_tells_what_apply_would_find(commands: Commands) -> None:
    commands.configure(VIEWS)
    valid = commands.run("validate", "--database")
    assert (valid.code, valid.stderr) == (0, "")
    assert valid.stdout.splitlines() == [
        "evens: public.evens does not exist",
        "numbers: public.numbers does not exist",
        (
            "2 views, 1 database: valid; PostgreSQL accepts every definition; `refresher apply`"
            " brings it up to them where it can"
        ),
    ]
    commands.apply()
    assert commands.run("validate", "--database", "--json").json() == {
        "valid": True,
        "views": 2,
        "databases": 1,
        "errors": [],
        "drift": [],
        "notes": [],
    }


def test_contents_nobody_here_refreshes_are_noted(commands: Commands, database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE MATERIALIZED VIEW theirs AS SELECT id FROM numbered")
    commands.configure({"mine": materialized("SELECT id FROM theirs")})
    note = "mine: its staleness is unknown, for it reads public.theirs: materialized, and not"

    validated = commands.run("validate", "--database")
    assert (validated.code, validated.stdout.startswith(note)) == (0, True)
    applied = commands.run("apply")
    assert (applied.code, applied.stderr.startswith(note)) == (0, True)
    (row,) = commands.run("status", "--json").json()
    assert (row["state"], row["data_as_of"], row["staleness_seconds"]) == ("unknown", None, None)
    assert row["as_of"] is not None
