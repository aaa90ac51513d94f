"""Checks that are broken, as commands meet them and tell them."""

from typing import Any

from tests.integration.cli.conftest import Commands
from tests.project import materialized

NUMBERED = "SELECT id FROM numbered"


def broken(commands: Commands, view: str) -> dict[str, str]:
    (row,) = commands.run("status", view, "--json").json()
    return {each["check"]: each["message"] for each in row["broken_checks"]}


def configure(commands: Commands, query: str, **checks: Any) -> None:
    commands.configure({"numbers": materialized(query, checks=checks)})


def test_a_first_fill_that_breaks_checks_is_refused_and_told(commands: Commands) -> None:
    configure(commands, NUMBERED, min_rows=11, unique=["id"])

    assert commands.run("apply").code == 1
    assert broken(commands, "numbers") == {"min_rows": "10 rows, fewer than min_rows 11"}

    configure(commands, NUMBERED, min_rows=10)
    assert commands.run("apply").code == 0
    assert broken(commands, "numbers") == {}


def test_a_changed_definition_that_breaks_a_check_leaves_the_old_contents(
    commands: Commands,
) -> None:
    checks = {"not_null": ["label"], "assert": "SELECT count(*) > 5 FROM numbers"}
    configure(commands, f"{NUMBERED.replace('id', 'id, 1 AS label')}", **checks)
    assert commands.run("apply").code == 0

    changed = "SELECT id, nullif(id, 3) AS label FROM numbered WHERE id < 5"
    configure(commands, changed, **checks)
    applied = commands.run("apply")

    assert applied.code == 1
    told = "check not_null: label is null in 1 of 4 rows; check assert: it returned false"
    assert told in applied.stdout + applied.stderr
    assert broken(commands, "numbers") == {
        "not_null": "label is null in 1 of 4 rows",
        "assert": "it returned false",
    }
    shown = commands.run("status", "numbers").stdout
    assert "broken checks: assert, not_null" in shown


def test_a_plan_that_breaks_columns_stops(commands: Commands) -> None:
    configure(commands, NUMBERED, columns=["id"])
    assert commands.run("apply").code == 0

    configure(commands, "SELECT id, 1 AS label FROM numbered", columns=["id", "name"])

    for command in ("plan", "apply"):
        stopped = commands.run(command)
        assert stopped.code == 2
        assert "check columns: 1 of 2 are missing: name" in stopped.stdout + stopped.stderr


def test_types_are_compared_before_anything_is_created(commands: Commands) -> None:
    columns = ["id", {"total": "numeric(12,2)"}, {"label": "varchar"}]
    query = "SELECT id, id::decimal(12, 2) AS total, 'x'::text AS label FROM numbered"
    configure(commands, query, columns=columns)

    checked = commands.run("validate", "--database")

    assert checked.code == 2
    assert checked.stderr.endswith(
        "sql/numbers.sql: 'numbers' would break its check columns:"
        " label is text, not character varying\n"
    )
