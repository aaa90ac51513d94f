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
    lines = applied.stdout.splitlines()
    assert lines[:2] == ["1/5 create evens", "2/5 create numbers"]
    assert lines[2].startswith("3/5 populate numbers: 5 rows in ")
    assert lines[3:] == [
        "4/5 create index numbers_id_key of numbers",
        "5/5 create index numbers_id_idx of numbers",
        "5 steps done",
    ]
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == {"count": 5}
        kept = connection.execute("SELECT count(*) FROM refresher.worker").fetchone()
    assert kept == {"count": 0}
    again = commands.run("apply")
    assert (again.code, again.stdout, again.stderr) == (0, "no changes\n", "")


def test_results_as_json(commands: Commands) -> None:
    commands.configure(VIEWS)
    planned = commands.run("plan", "--json").json()
    applied = commands.run("apply", "--json")
    assert applied.code == 0
    (document,) = applied.json()
    ended = [
        (step.pop("outcome"), step.pop("detail"), step.pop("seconds") >= 0)
        for step in document["steps"]
    ]
    assert document == planned[0]
    assert {(outcome, timed) for outcome, _, timed in ended} == {("done", True)}
    assert str(ended[2][1]).startswith("5 rows in ")
    assert commands.run("apply", "--json").json()[0]["steps"] == []


def test_a_database_without_a_store_gets_one(commands: Commands, bare_database: Database) -> None:
    commands.environment["DATABASE_URL"] = bare_database.conninfo
    commands.configure({})
    applied = commands.run("apply")
    assert (applied.code, applied.stdout) == (0, "no changes\n")
    assert applied.stderr == "crm: the store was made\n"
    (document,) = commands.run("apply", "--json").json()
    assert (document["database"], document["steps"]) == ("crm", [])


def test_what_differs_is_changed(commands: Commands, database: Database) -> None:
    commands.configure(VIEWS)
    commands.apply()
    (commands.folder / "sql" / "evens.sql").write_text("SELECT id FROM numbered WHERE id % 4 = 0")
    applied = commands.run("apply")
    assert (applied.code, applied.stderr) == (0, "")
    first, second, last = applied.stdout.splitlines()
    assert first == "1/2 replace evens"
    assert second.startswith("2/2 refresh numbers: 2 rows in ")
    assert last == "2 steps done"
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == {"count": 2}


def test_named_views_only(commands: Commands) -> None:
    commands.configure(VIEWS)
    applied = commands.run("apply", "evens")
    assert (applied.code, applied.stdout) == (0, "1/1 create evens\n1 step done\n")
    assert commands.run("status", "numbers", "--json").json()[0]["state"] == "unknown"


def test_a_step_that_fails_keeps_back_only_what_needs_it(commands: Commands) -> None:
    broken = materialized("SELECT id, 1 / (id - 1) AS share FROM numbered")
    commands.configure({"broken": broken, **VIEWS})
    applied = commands.run("apply")
    assert applied.code == 1
    assert "create evens\n" in applied.stdout
    assert "populate numbers: 5 rows" in applied.stdout
    assert "steps done" not in applied.stdout
    assert "populate broken: failed: can't be filled: division by zero\n" in applied.stderr
    assert "create index broken_id_key of broken: skipped: waits for broken\n" in applied.stderr
    assert applied.stderr.endswith(
        "6 steps done, 1 step failed, 1 step skipped; what stood still stands, and"
        " `refresher apply` goes on from here\n"
    )
    (document,) = commands.run("apply", "--json").json()
    assert [step["outcome"] for step in document["steps"]] == ["failed", "skipped"]


def test_a_plan_with_problems_changes_nothing_until_they_are_solved(
    commands: Commands, database: Database
) -> None:
    commands.configure(VIEWS)
    commands.apply()
    with database.connect() as connection:
        connection.execute("CREATE VIEW theirs AS SELECT id FROM evens")
        connection.execute("GRANT SELECT ON theirs TO PUBLIC")
    commands.configure(
        {
            "evens": {"kind": "view", "query": "SELECT id AS number FROM numbered"},
            "numbers": materialized("SELECT number AS id FROM evens"),
        }
    )
    refused = commands.run("apply")
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr.startswith(
        "refresher: public.theirs, which is not managed, would not work any more: "
    )
    (document,) = commands.run("apply", "--json").json()
    assert document["error"].endswith("--allow-drop 'public.theirs'")
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM evens").fetchone() == {"count": 5}

    allowed = commands.run("apply", "--allow-drop", "public.theirs")
    assert allowed.code == 0
    assert allowed.stdout.endswith("done\n")
    with database.connect() as connection:
        assert connection.execute("SELECT count(number) FROM evens").fetchone() == {"count": 10}
        gone = connection.execute("SELECT to_regclass('theirs') AS theirs").fetchone()
    assert gone == {"theirs": None}


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
            " brings it up to them"
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
    assert (applied.code, applied.stderr.startswith(f"note: {note}")) == (0, True)
    (row,) = commands.run("status", "--json").json()
    assert (row["state"], row["data_as_of"], row["staleness_seconds"]) == ("unknown", None, None)
    assert row["as_of"] is not None
