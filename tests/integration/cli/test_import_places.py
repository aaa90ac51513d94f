"""Where `refresher import` puts its files, and what it refuses."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refresher.definitions import statements
from refresher.definitions.marks import mark_comment
from refresher.names import RelationName
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.integration.cli.test_import import assert_no_drift, config, imported, notes_of


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as connection:
        connection.execute(
            "CREATE SCHEMA crm;"
            " CREATE MATERIALIZED VIEW sales AS SELECT 1 AS id;"
            " CREATE MATERIALIZED VIEW crm.sales AS SELECT 1 AS id;"
            " CREATE VIEW sales_v AS SELECT * FROM sales"
        )
        yield connection


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_new_configuration(commands: Commands, connection: Connection) -> None:
    del connection
    done = commands.run("import", "--output", "a/b")
    assert done.code == 0
    written = {"config.yaml", "sql/sales.sql", "sql/crm_sales.sql"}
    assert files(commands.folder / "a/b") == written
    assert {line.removeprefix("wrote a/b/") for line in done.stdout.splitlines()} == written
    assert "next: set DATABASE_URL to the database, then `refresher" in done.stderr
    text = (commands.folder / "a/b/config.yaml").read_text()
    assert "conninfo: ${DATABASE_URL} " in text
    assert commands.run("validate", "--config", "a/b/config.yaml").code == 0


def test_the_url_is_written_nowhere(commands: Commands, connection: Connection) -> None:
    del connection
    url = commands.environment["DATABASE_URL"]
    commands.environment["DATABASE_URL"] = ""
    done = commands.run("import", "--database-url", f"{url} password=hunter2")
    assert done.code == 0
    assert "hunter2" not in done.stdout + done.stderr
    for path in files(commands.folder):
        assert "hunter2" not in (commands.folder / path).read_text()


def test_a_dry_run_shows_and_writes_nothing(commands: Commands, connection: Connection) -> None:
    del connection
    done = commands.run("import", "--dry-run", "crm.*")
    assert done.code == 0
    assert "--- config.yaml\n# What refresher keeps fresh" in done.stdout
    assert "--- sql/sales.sql\n-- crm.sales, as PostgreSQL shows it.\nSELECT 1 AS id" in done.stdout
    document = imported(commands, "--dry-run", "crm.*")
    assert document["written"] == []
    assert set(document["files"]) == {"config.yaml", "sql/sales.sql"}
    assert files(commands.folder) == set()


def test_into_a_configuration(commands: Commands, connection: Connection) -> None:
    del connection
    commands.configure({}, include=["views/*.yaml"])
    (commands.folder / "views").mkdir()
    (commands.folder / "views/none.yaml").write_text("views: {}")
    assert imported(commands, "public.sales")["written"] == ["views/sales.yaml", "sql/sales.sql"]
    assert set(config(commands).views) == {"sales"}
    before = files(commands.folder)
    document = imported(commands, "--plain-views")
    assert files(commands.folder) - before == {
        *("views/crm_sales.yaml", "views/sales_v.yaml", "sql/crm_sales.sql", "sql/sales_v.sql")
    }
    assert "public.sales is managed already" in document["notes"]
    assert set(config(commands).views) == {"sales", "crm_sales", "sales_v"}
    assert_no_drift(commands)
    again = commands.run("import", "--plain-views")
    assert (again.code, again.stdout) == (0, "nothing to import\n")


def test_an_include_that_is_missing_is_told(commands: Commands, connection: Connection) -> None:
    del connection
    commands.configure({})
    done = commands.run("import", "public.sales")
    assert done.code == 0
    assert "now add to config.yaml: include: [views/*.yaml]" in done.stderr


def test_defaults_do_not_change_what_stands(
    commands: Commands, connection: Connection, make_role: Callable[..., str]
) -> None:
    del connection
    other = make_role("other")
    commands.configure(
        {},
        include=["views/*.yaml"],
        defaults={"owner": other, "grants": {other: ["select"]}, "schedule": {"every": "1s"}},
    )
    shutil.copytree(commands.folder / "sql", commands.folder / "views")
    (commands.folder / "views/none.yaml").write_text("views: {}")
    imported(commands, "public.sales")
    view = config(commands).views["sales"]
    assert (view.owner, view.grants) == ("postgres", {})
    assert_no_drift(commands)


def test_one_of_several_databases(
    commands: Commands, connection: Connection, bare_database: Database
) -> None:
    del connection
    commands.environment["OTHER"] = bare_database.conninfo
    commands.configure(
        {},
        databases={"crm": {"conninfo": "${DATABASE_URL}"}, "erp": {"conninfo": "${OTHER}"}},
        include=["views/*.yaml"],
    )
    (commands.folder / "views").mkdir()
    (commands.folder / "views/none.yaml").write_text("views: {}")
    done = commands.run("import")
    assert done.code == 2
    assert "has 2 databases, choose one with --database; use one of crm, erp" in done.stderr
    done = commands.run("import", "--database", "er")
    assert done.code == 2
    assert "it has no 'er'; did you mean erp?" in done.stderr
    assert imported(commands, "--database", "erp")["views"] == []
    imported(commands, "--database", "crm", "public.sales")
    assert config(commands).views["sales"].database == "crm"


@pytest.mark.parametrize("taken", ["views/sales.yaml", "sql/sales.sql"])
def test_nothing_is_overwritten(commands: Commands, connection: Connection, taken: str) -> None:
    del connection
    commands.configure({})
    path = commands.folder / taken
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = files(commands.folder)
    done = commands.run("import", "public.sales")
    assert (done.code, done.stdout) == (2, "")
    assert f"{taken} is there already; remove it" in done.stderr
    assert files(commands.folder) == before
    assert path.read_text() == "mine"


def test_a_new_one_where_there_is_one(commands: Commands, connection: Connection) -> None:
    del connection
    commands.configure({})
    url = commands.environment["DATABASE_URL"]
    for arguments in (["--output", "."], ["--database-url", url]):
        done = commands.run("import", *arguments)
        assert done.code == 2
        assert "config.yaml is there already; import into it without" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--database-url", "embedded"], 2, "--database-url has to name a server"),
        (["--database-url", "hunter2"], 2, "--database-url is not a libpq connection string"),
        (["--database", "crm"], 2, "--database is for an existing configuration"),
        (["--database-url", "host=/nowhere password=hunter2"], 3, "can't connect"),
        (["nothing"], 1, "no view is called 'nothing'; "),
    ],
)
def test_what_is_refused(
    commands: Commands, connection: Connection, arguments: list[str], code: int, problem: str
) -> None:
    del connection
    done = commands.run("import", *arguments)
    assert (done.code, done.stdout) == (code, "")
    assert problem in done.stderr
    assert "hunter2" not in done.stderr
    assert files(commands.folder) == set()


def test_without_any_database(commands: Commands) -> None:
    del commands.environment["DATABASE_URL"]
    done = commands.run("import")
    assert done.code == 2
    assert "there is no config.yaml to import into; for a new configuration" in done.stderr


def test_views_of_extensions_of_the_system_and_of_an_apply_are_left(
    commands: Commands, connection: Connection
) -> None:
    sales = RelationName("public", "sales")
    connection.execute(
        "CREATE EXTENSION pg_trgm; ALTER EXTENSION pg_trgm ADD VIEW sales_v;"
        " CREATE TEMPORARY VIEW passing AS SELECT 1;"
        " CREATE MATERIALIZED VIEW refresher_sales_new AS SELECT 1 AS id"
    )
    left = RelationName("public", "refresher_sales_new")
    connection.execute(statements.set_comment("m", left, mark_comment(sales)))
    document = imported(commands, "--plain-views", "--dry-run")
    assert {view["relation"] for view in document["views"]} == {"public.sales", "crm.sales"}


def test_nobody_is_blocked_who_changes_them(
    commands: Commands, connection: Connection, database: Database
) -> None:
    del connection
    with database.connect() as other, other.transaction():
        other.execute("CREATE UNIQUE INDEX sales_id_idx ON sales (id)")
        document = imported(commands)
    assert "it has no unique index" in notes_of(document, "sales")
