"""`refresher verify`: what differs is shown by its key, put right if asked, and counted."""

from collections.abc import Iterator

import pytest

from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.project import materialized

KINDS = {
    "table": {"kind": "table", "key": ["id"], "query": "SELECT id, 2 * id AS twice FROM numbered"},
    "matview": materialized("SELECT id, 2 * id AS twice FROM numbered"),
}


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as opened:
        yield opened


@pytest.fixture(params=KINDS)
def applied(request: pytest.FixtureRequest, commands: Commands) -> Commands:
    commands.configure({"doubled": KINDS[request.param]})
    commands.apply()
    return commands


def corrected(connection: Connection) -> int:
    query = "SELECT coalesce(sum(value), 0) AS n FROM refresher.tally WHERE metric = 'corrected'"
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row["n"])


def test_nothing_differs(applied: Commands, connection: Connection) -> None:
    done = applied.run("verify", "doubled", "--repair")
    assert (done.code, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == "doubled: 10 rows compared, none differs from the query"
    assert second.startswith("Compared at 20")
    assert "the contents are as of 20" in second
    assert corrected(connection) == 0
    assert len(applied.run("history", "doubled", "--json").json()) == 1


def test_what_differs_is_shown_by_its_key(applied: Commands, connection: Connection) -> None:
    connection.execute(
        "UPDATE numbered SET id = 11 WHERE id = 10; INSERT INTO numbered VALUES (12)"
    )
    done = applied.run("verify", "doubled", "--limit", "2")
    assert (done.code, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "doubled: 12 rows compared, 3 differ: 2 missing, 1 extra"
    assert [line.split() for line in lines[2:5]] == [
        ["key", "difference", "column", "view", "query"],
        ["10", "extra", "-", "-", "-"],
        ["11", "missing", "-", "-", "-"],
    ]
    assert lines[5] == "and 1 more; --limit shows more of them"
    assert lines[-1].endswith("what the sources changed in between differs, too.")


def test_what_differs_is_put_right_and_counted(applied: Commands, connection: Connection) -> None:
    connection.execute("INSERT INTO numbered VALUES (11), (12)")
    done = applied.run("verify", "doubled", "--repair")
    assert (done.code, done.stderr) == (0, "")
    assert "\ndoubled: succeeded in " in done.stdout
    assert "12 rows (+2 ~0 -0)" in done.stdout
    assert corrected(connection) == 2
    assert applied.run("verify", "doubled").code == 0


def test_what_somebody_wrote_into_a_table(commands: Commands, connection: Connection) -> None:
    commands.configure({"doubled": KINDS["table"]})
    commands.apply()
    connection.execute(
        "UPDATE doubled SET twice = NULL WHERE id = 3; DELETE FROM doubled WHERE id = 4"
    )
    found = commands.run("verify", "doubled", "--json")
    assert found.code == 1
    document = found.json()
    assert set(document) == set(
        "view relation as_of compared_at sample rows changed missing extra differences repair"  # noqa: SIM905 - as the documentation lists them
        "".split()
    )
    assert (document["rows"], document["sample"], document["repair"]) == (10, None, None)
    assert (document["changed"], document["missing"], document["extra"]) == (1, 1, 0)
    assert document["differences"] == [
        {
            "key": {"id": "3"},
            "difference": "changed",
            "columns": {"twice": {"view": None, "query": "6"}},
        },
        {"key": {"id": "4"}, "difference": "missing", "columns": {}},
    ]
    repaired = commands.run("verify", "doubled", "--repair", "--json")
    assert (repaired.code, repaired.stderr) == (0, "")
    assert repaired.json()["repair"]["outcome"] == "succeeded"
    assert corrected(connection) == 2


def test_a_sample(applied: Commands, connection: Connection) -> None:
    connection.execute("INSERT INTO numbered VALUES (11)")
    done = applied.run("verify", "doubled", "--sample", "5")
    assert done.code == 0
    assert done.stdout.startswith("doubled: 5 sampled rows compared, none differs from the query\n")
    assert done.stdout.endswith("\nA sample does not see rows that the view lacks.\n")


def test_a_repair_that_fails_is_told(commands: Commands, connection: Connection) -> None:
    commands.configure({"doubled": {**KINDS["table"], "checks": {"min_rows": 5}}})
    commands.apply()
    connection.execute("DELETE FROM numbered WHERE id > 2")
    done = commands.run("verify", "doubled", "--repair")
    assert done.code == 1
    assert "doubled: failed after " in done.stderr
    assert corrected(connection) == 0


def test_a_plain_view_can_not_differ(commands: Commands) -> None:
    commands.configure({"plain": {"kind": "view", "query": "SELECT id FROM numbered"}})
    commands.apply()
    done = commands.run("verify", "plain")
    assert done.code == 2
    assert "it can't differ from its query" in done.stderr
