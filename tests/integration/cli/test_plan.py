"""`refresher plan`, on a real database."""

import pytest

from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.project import materialized

VIEWS = {
    "evens": {"kind": "view", "query": "SELECT id FROM numbered WHERE id % 2 = 0"},
    "numbers": materialized("SELECT id FROM evens"),
}


def test_a_plan_changes_nothing_and_says_what_an_apply_would_do(
    commands: Commands, bare_database: Database
) -> None:
    commands.environment["DATABASE_URL"] = bare_database.conninfo
    commands.configure({"one": materialized("SELECT 1 AS id")})
    planned = commands.run("plan")
    assert (planned.code, planned.stderr) == (10, "")
    lines = planned.stdout.splitlines()
    assert lines[:2] == ["1. create one", "   why       public.one does not exist"]
    assert lines[-1] == "3 steps; `refresher apply` carries them out"
    with bare_database.connect() as connection:
        kept = connection.execute(
            "SELECT to_regclass('one') AS one, to_regnamespace('refresher') AS store"
        ).fetchone()
    assert kept == {"one": None, "store": None}
    applied = commands.run("apply")
    assert applied.stdout.startswith("1/3 create one\n2/3 populate one: 1 row in ")
    unchanged = commands.run("plan")
    assert (unchanged.code, unchanged.stdout, unchanged.stderr) == (0, "no changes\n", "")


def test_a_changed_query_is_shown_in_postgresqls_own_words(commands: Commands) -> None:
    commands.configure(VIEWS)
    commands.apply()
    query = "-- half as many\nselect  id from NUMBERED where id%4=0"
    commands.configure(VIEWS | {"evens": VIEWS["evens"] | {"query": query}})
    planned = commands.run("plan")
    assert planned.code == 10
    shown = planned.stdout.replace("numbered.id", "id")  # so PostgreSQL 15 and older write it
    for line in (
        "1. replace evens",
        "   --- evens as it stands",
        "   +++ evens as configured",
        "   -  WHERE ((id % 2) = 0);",
        "   +  WHERE ((id % 4) = 0);",
        "2. refresh numbers",
    ):
        assert line in shown.splitlines()
    (document,) = commands.run("plan", "--json").json()
    replace, refresh = document["steps"]
    assert (replace["kind"], refresh["kind"]) == ("replace", "refresh")
    diff = replace["diffs"][0]["diff"].replace("numbered.id", "id")
    assert "\n+  WHERE ((id % 4) = 0);" in diff
    assert document["drift"] == [
        {
            "view": "evens",
            "aspect": "definition",
            "message": "the query that stands is another one",
        }
    ]


def test_formatting_is_no_change(commands: Commands) -> None:
    commands.configure(VIEWS)
    commands.apply()
    query = "-- the same\nselect n.id from public.numbered as n where n.id % 2 = 0"
    commands.configure(VIEWS | {"evens": VIEWS["evens"] | {"query": query}})
    assert commands.run("plan").code == 0


def test_a_view_that_is_named_gets_its_own_steps_only(commands: Commands) -> None:
    commands.configure(VIEWS)
    planned = commands.run("plan", "evens", "--json")
    assert planned.code == 10
    assert [step["views"] for step in planned.json()[0]["steps"]] == [["evens"]]


def test_problems_are_2_whatever_else_there_is_to_do(
    commands: Commands, database: Database
) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE taken (id int)")
    commands.configure({"taken": {"kind": "view", "query": "SELECT 1 AS id"}, **VIEWS})
    planned = commands.run("plan")
    assert (planned.code, planned.stderr) == (2, "")
    assert planned.stdout.startswith("problem: taken: ")
    assert planned.stdout.splitlines()[-1] == (
        "1 problem, 4 steps; `refresher apply` changes nothing until it is solved"
    )
    (document,) = commands.run("plan", "--json").json()
    assert len(document["problems"]) == 1
    assert document["error"] is None


@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_a_definition_postgresql_refuses_is_2(commands: Commands, flag: list[str]) -> None:
    commands.configure({"bad": materialized("SELECT ident\nFROM numbered")})
    planned = commands.run("plan", *flag)
    assert planned.code == 2
    assert "bad.sql:1: PostgreSQL refuses the definition of 'bad': column" in planned.stderr
    if flag:
        (document,) = planned.json()
        assert "bad.sql:1" in document["error"]


@pytest.mark.parametrize(
    ("views", "code"),
    [
        ({}, 3),
        ({"here": {"kind": "view", "query": "SELECT 1 AS id", "database": "crm"}}, 3),
        ({"bad": {"kind": "view", "query": "SELECT ident", "database": "crm"}}, 3),
    ],
)
def test_a_database_that_is_away_is_the_gravest_and_the_others_are_planned(
    commands: Commands, views: dict[str, dict[str, str]], code: int
) -> None:
    commands.configure(
        views,
        databases={
            "away": {"conninfo": "host=127.0.0.1 port=1"},
            "crm": {"conninfo": "${DATABASE_URL}"},
        },
    )
    planned = commands.run("plan", "--json")
    assert planned.code == code
    away, crm = planned.json()
    assert away["error"]
    assert [step["title"] for step in crm["steps"]] == ["create here"] * ("here" in views)


def test_each_database_has_its_part(commands: Commands, bare_database: Database) -> None:
    commands.environment["OTHER_URL"] = bare_database.conninfo
    view = {"kind": "view", "query": "SELECT 1 AS id"}
    commands.configure(
        {"a": view | {"database": "crm"}, "b": view | {"database": "other"}},
        databases={
            "crm": {"conninfo": "${DATABASE_URL}"},
            "other": {"conninfo": "${OTHER_URL}"},
        },
    )
    planned = commands.run("plan")
    assert planned.code == 10
    lines = planned.stdout.splitlines()
    assert [line for line in lines if line[:1] not in {" ", ""}] == [
        "crm:",
        "1. create a",
        "other:",
        "1. create b",
        "2 steps; `refresher apply` carries them out",
    ]
    commands.run("apply", "a")
    only_b = commands.run("plan").stdout.splitlines()
    assert only_b[:3] == ["crm:", "other:", "1. create b"]
