"""`refresher import` on real databases: what it writes means what stands."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from refresher.config.load import load_config
from refresher.config.model import Config
from refresher.definitions.index_statements import wanted_indexes
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.integration.cli.conftest import Commands

STANDING = Path(__file__).with_name("standing.sql")
VIEWS = {
    "we_ird: _name _{X} #1_%s",
    *("crm_totals", "Never", "public_never", "nulls", "totals"),
}
CATALOG = """
SELECT c.oid, c.relfilenode, c.relname, c.relowner, c.relacl, c.reloptions, c.xmin::text
FROM pg_class AS c
WHERE c.oid >= 16384
    AND c.relnamespace NOT IN ('refresher'::regnamespace, 'pg_toast'::regnamespace)
ORDER BY c.oid
"""


def run_sql(connection: Connection, text: str, **roles: str) -> None:
    """A script; roles by name."""
    for name, role in roles.items():
        text = text.replace(f"{{{name}}}", sql.Identifier(role).as_string(connection))
    connection.execute(text.encode())


@pytest.fixture
def connection(database: Database, commands: Commands) -> Any:
    del commands  # it makes a table, too
    with database.connect() as connection:
        yield connection


@pytest.fixture
def standing(connection: Connection, make_role: Callable[..., str]) -> Connection:
    """A connection to a database that is full."""
    boss, reader, odd = make_role("boss"), make_role("reader"), make_role('we"ird $X: role')
    run_sql(connection, STANDING.read_text(), boss=boss, reader=reader, odd=odd)
    return connection


def imported(commands: Commands, *arguments: str) -> dict[str, Any]:
    done = commands.run("import", *arguments, "--json")
    assert done.code == 0, done.stderr
    document: dict[str, Any] = done.json()
    return document


def config(commands: Commands) -> Config:
    return load_config(commands.folder / "config.yaml", commands.environment)


def notes_of(document: Mapping[str, Any], view: str) -> str:
    return "\n".join(note for note in document["notes"] if note.startswith(f"{view}: "))


def assert_no_drift(commands: Commands) -> None:
    told = commands.run("validate", "--database", "--json").json()
    assert (told["errors"], told["drift"]) == ([], [])


def assert_no_changes(commands: Commands, command: str) -> None:
    done = commands.run(command)
    assert done.stdout.endswith("no changes\n"), done.stdout + done.stderr
    assert done.code == 0


def test_what_is_imported_is_what_stands(commands: Commands, standing: Connection) -> None:
    del standing
    document = imported(commands, "--plain-views")
    assert {view["view"] for view in document["views"]} == {*VIEWS, "paid", "top view"}
    assert document["written"] == [*document["files"]]
    for path, text in document["files"].items():
        assert (commands.folder / path).read_bytes() == text.encode()
    assert commands.run("validate").code == 0
    assert_no_drift(commands)


def test_neither_a_plan_nor_an_apply_finds_anything_to_change(
    commands: Commands, standing: Connection
) -> None:
    standing.execute("REFRESH MATERIALIZED VIEW never; ANALYZE")
    imported(commands, "--plain-views")
    before = standing.execute(CATALOG).fetchall()
    for command in ("plan", "apply", "plan"):
        assert_no_changes(commands, command)
    assert standing.execute(CATALOG).fetchall() == before


def test_what_was_imported_can_be_changed(commands: Commands, standing: Connection) -> None:
    """A definition that others read is changed, and all that was imported stays with it."""
    imported(commands, "--plain-views")
    path = commands.folder / "sql/crm_totals.sql"
    # PostgreSQL 18 leaves out the name of the only relation.
    changed, found = re.subn(r"sum\(([a-z.]+)\)", r"sum(\1) + 1", path.read_text())
    assert found == 1
    path.write_text(changed)
    assert commands.run("plan").code == 10
    before = config(commands)
    assert commands.run("apply").code == 0
    assert_no_changes(commands, "plan")
    shutil.rmtree(commands.folder / "sql")
    (commands.folder / "config.yaml").unlink()
    imported(commands, "--plain-views")
    after = config(commands)
    for name, view in before.views.items():
        assert replace(after.views[name], query="") == replace(view, query="")
    total = standing.execute("SELECT min(total) AS total FROM totals").fetchone()
    assert total == {"total": Decimal(461)}


def test_it_is_said_in_the_plainest_words(commands: Commands, standing: Connection) -> None:
    del standing
    imported(commands)
    views = config(commands).views
    assert set(views) == VIEWS
    totals = views["crm_totals"]
    assert totals.key == ("customer",)
    by_name = {index.name: index for index in totals.indexes}
    assert by_name.keys() == {"big; totals", "covering", "hashed", "loose", None}
    assert by_name[None].columns == ("total",)
    assert by_name["hashed"].method == "hash"
    covering = by_name["covering"]
    assert covering.columns == ("customer", "total")
    assert (covering.include, covering.where) == (("fives",), "(fives > 0)")
    assert by_name["loose"].definition == "USING btree (total) WITH (fillfactor='50')"
    assert totals.options == {"fillfactor": "70", "autovacuum_enabled": "off"}
    assert totals.comment == 'Totals: by "customer"\n$HOME ${X} é \t\\ # end '
    assert totals.owner is None
    assert totals.grants is not None
    assert {tuple(given) for given in totals.grants.values()} == {
        ("select",),
        ("select", "insert", "references"),
        ("select with grant option",),
    }
    odd = {index.name: index for index in views["we_ird: _name _{X} #1_%s"].indexes}
    assert odd["lowered"].expression == 'lower("$x")'
    assert odd["lowered"].statistics == {1: 500}
    assert odd["summed"].expression == '("a b" + 1)'
    assert odd["partly"].where == "active"
    assert odd["placed"].method == "gist"
    assert odd["several"].definition is not None
    assert odd["several"].unique


def test_a_key_is_told_from_an_index_that_may_have_another_name(
    commands: Commands, standing: Connection
) -> None:
    del standing
    document = imported(commands)
    views = config(commands).views
    assert views["public_never"].key == ("id",)
    assert views["totals"].key == ("place", "customer")
    assert [index.name for index in views["totals"].indexes] == ["totals_place"]
    assert list(wanted_indexes(views["totals"])) == ["totals_place"]
    assert views["nulls"].key == ()
    assert [index.unique for index in views["nulls"].indexes] == [True]
    assert "give it a key" in notes_of(document, "Never")
    assert "give it a key" not in notes_of(document, "totals")


def test_a_view_without_contents_is_named(commands: Commands, standing: Connection) -> None:
    del standing
    document = imported(commands)
    assert "it was never populated: the first apply fills it" in notes_of(document, "public_never")
    assert "never populated" not in notes_of(document, "totals")


def test_privileges_without_words_are_left_alone(
    commands: Commands, standing: Connection, make_role: Callable[..., str]
) -> None:
    unspeakable = sql.Identifier(make_role("${X}"))
    standing.execute(sql.SQL("GRANT SELECT ON never TO {}").format(unspeakable))
    document = imported(commands)
    views = config(commands).views
    assert views["nulls"].grants is None
    assert "privileges on single columns" in notes_of(document, "nulls")
    assert views["public_never"].grants is None
    assert "a role's name" in notes_of(document, "public_never")
    assert views["Never"].grants is None
    assert "the grants" not in notes_of(document, "Never")


def test_invalid_indexes_are_named(commands: Commands, connection: Connection) -> None:
    connection.execute(
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS id; CREATE INDEX broken ON m (id);"
        " UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass"
    )
    document = imported(commands)
    assert config(commands).views["m"].indexes == ()
    assert "the index broken is invalid" in notes_of(document, "m")


@pytest.mark.pg(">= 15")
def test_what_newer_majors_have(commands: Commands, connection: Connection) -> None:
    connection.execute(
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS id;"
        " CREATE UNIQUE INDEX m_id_key ON m (id) NULLS NOT DISTINCT;"
        " CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM m"
    )
    imported(commands, "m", "v")
    view = config(commands).views["m"]
    assert view.key == ()
    assert view.indexes[0].definition == "USING btree (id) NULLS NOT DISTINCT"
    assert_no_drift(commands)


def test_a_tablespace_is_kept(commands: Commands, connection: Connection, worker_id: str) -> None:
    space = f'Fast "{worker_id}'
    connection.execute("SET allow_in_place_tablespaces = on")
    connection.execute(sql.SQL("CREATE TABLESPACE {} LOCATION ''").format(sql.Identifier(space)))
    try:
        connection.execute(
            sql.SQL(
                "CREATE MATERIALIZED VIEW m AS SELECT 1 AS id;"
                " CREATE UNIQUE INDEX m_id_key ON m (id) TABLESPACE {0};"
                " CREATE INDEX partly ON m (id DESC) WITH (fillfactor = 50) TABLESPACE {0}"
                " WHERE id > 1"
            ).format(sql.Identifier(space))
        )
        imported(commands)
        first, second = config(commands).views["m"].indexes
        assert first.definition == f'USING btree (id) TABLESPACE "Fast ""{worker_id}"'
        assert second.definition == (
            "USING btree (id DESC) WITH (fillfactor='50') TABLESPACE"
            f' "Fast ""{worker_id}" WHERE (id > 1)'
        )
        assert_no_drift(commands)
    finally:
        connection.execute("DROP MATERIALIZED VIEW m")
        connection.execute(sql.SQL("DROP TABLESPACE {}").format(sql.Identifier(space)))
