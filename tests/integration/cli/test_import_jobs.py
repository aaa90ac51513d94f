"""`refresher import` and pg_cron: only its table is read, so that a table like it will do."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg import sql

from refresher.config.model import Cron, Every, Kind, Manual
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.integration.cli.test_import import config, imported, notes_of

CRON = """
CREATE SCHEMA cron;
CREATE TABLE cron.job (
    jobid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule text NOT NULL,
    command text NOT NULL,
    nodename text NOT NULL DEFAULT 'localhost',
    nodeport int NOT NULL DEFAULT 5432,
    database text NOT NULL DEFAULT current_database(),
    username text NOT NULL DEFAULT current_user,
    active boolean NOT NULL DEFAULT true,
    jobname name
);
"""


class Cronned:
    """A database that has pg_cron, or looks like it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.execute(CRON.encode())

    def views(self, *names: str) -> None:
        for name in names:
            self.connection.execute(
                f"CREATE MATERIALIZED VIEW {name} AS SELECT 1 AS id;"
                f"CREATE UNIQUE INDEX ON {name} (id)".encode()
            )

    def job(self, schedule: str, command: str, **columns: Any) -> None:
        row = {"schedule": schedule, "command": command, **columns}
        self.connection.execute(
            sql.SQL("INSERT INTO cron.job ({}) VALUES ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(map(sql.Literal, row.values())),
            )
        )


@pytest.fixture
def cron(database: Database) -> Iterator[Cronned]:
    with database.connect() as connection:
        yield Cronned(connection)


def test_schedules_are_taken_over(commands: Commands, cron: Cronned) -> None:
    cron.views("a", "b", "c", "d", "e")
    cron.job(
        "30 3 * * 1-5", "REFRESH MATERIALIZED VIEW CONCURRENTLY a; REFRESH MATERIALIZED VIEW b"
    )
    cron.job("0 4 $ * *", "refresh materialized view c", jobname="last day")
    cron.job("30 seconds", "DO $$BEGIN REFRESH MATERIALIZED VIEW public.d; END$$")
    before = cron.connection.execute("SELECT * FROM cron.job").fetchall()
    document = imported(commands)
    views = config(commands).views
    assert isinstance(views["a"].schedule, Cron)
    assert views["a"].schedule.cron == "30 3 * * 1-5"
    assert str(views["a"].schedule.timezone) == "UTC"
    assert views["b"].schedule == views["a"].schedule
    assert isinstance(views["c"].schedule, Cron)
    assert views["c"].schedule.cron == "0 4 L * *"
    assert isinstance(views["d"].schedule, Every)
    assert views["d"].schedule.every.total_seconds() == 30
    assert views["e"].schedule == Manual()
    assert notes_of(document, "c") == (
        "c: job 2 'last day' of pg_cron (0 4 $ * *) refreshes it too; once refresher runs:"
        " SELECT cron.unschedule(2)"
    )
    assert "may do other work" in notes_of(document, "d")
    assert "nothing that is seen here refreshes it" in notes_of(document, "e")
    written = (commands.folder / "config.yaml").read_text()
    assert "# job 2 'last day' of pg_cron" in written
    assert cron.connection.execute("SELECT * FROM cron.job").fetchall() == before


def test_a_function_may_refresh_them(commands: Commands, cron: Cronned) -> None:
    cron.views("a")
    cron.connection.execute(
        "CREATE FUNCTION refresh_all() RETURNS void LANGUAGE plpgsql"
        " AS $$BEGIN REFRESH MATERIALIZED VIEW a; END$$"
    )
    cron.job("@hourly", "SELECT refresh_all()")
    imported(commands)
    schedule = config(commands).views["a"].schedule
    assert isinstance(schedule, Cron)
    assert schedule.cron == "0 * * * *"


def test_what_would_be_lost_with_a_job_is_said(commands: Commands, cron: Cronned) -> None:
    cron.views("a", "b")
    cron.job("0 3 * * *", "REFRESH MATERIALIZED VIEW a; REFRESH MATERIALIZED VIEW b; DELETE FROM x")
    document = imported(commands, "a")
    assert notes_of(document, "a").endswith(
        "SELECT cron.unschedule(1), but mind that it also refreshes public.b and may do other work"
    )


@pytest.mark.parametrize(
    ("schedule", "columns", "note"),
    [
        ("@reboot", {}, "job 1 refreshes it by a schedule of its own: needs five fields"),
        ("0 3 * * *", {"active": False}, "job 1 would refresh it, but is not active"),
    ],
)
def test_what_can_not_be_taken_over_is_said(
    commands: Commands, cron: Cronned, schedule: str, columns: dict[str, Any], note: str
) -> None:
    cron.views("a")
    cron.job(schedule, "REFRESH MATERIALIZED VIEW a", **columns)
    document = imported(commands)
    assert config(commands).views["a"].schedule == Manual()
    assert note in notes_of(document, "a")


def test_the_first_that_works_of_several(commands: Commands, cron: Cronned) -> None:
    cron.views("a")
    for every in ("@reboot", "0 3 * * *", "0 4 * * *"):
        cron.job(every, "REFRESH MATERIALIZED VIEW a")
    document = imported(commands)
    schedule = config(commands).views["a"].schedule
    assert isinstance(schedule, Cron)
    assert schedule.cron == "0 3 * * *"
    for number in (1, 2, 3):
        assert f"SELECT cron.unschedule({number})" in notes_of(document, "a")


def test_jobs_for_other_databases_are_none_of_ours(commands: Commands, cron: Cronned) -> None:
    cron.views("a")
    cron.job("0 3 * * *", "REFRESH MATERIALIZED VIEW a", database="another")
    imported(commands)
    assert config(commands).views["a"].schedule == Manual()


def test_without_a_unique_index_it_goes_on_blocking(commands: Commands, cron: Cronned) -> None:
    cron.connection.execute("CREATE MATERIALIZED VIEW a AS SELECT 1 AS id")
    cron.job("0 3 * * *", "REFRESH MATERIALIZED VIEW a")
    document = imported(commands)
    assert config(commands).views["a"].allow_blocking
    assert "readers wait for each refresh" in notes_of(document, "a")


def test_a_plain_view_has_no_schedule(commands: Commands, cron: Cronned) -> None:
    cron.connection.execute("CREATE VIEW v AS SELECT 1 AS id")
    cron.job("0 3 * * *", "REFRESH MATERIALIZED VIEW v")
    document = imported(commands, "v")
    assert config(commands).views["v"].kind is Kind.VIEW
    assert document["notes"] == []


def test_jobs_that_can_not_be_read_are_said(
    commands: Commands, cron: Cronned, database: Database, make_role: Callable[..., str]
) -> None:
    cron.views("a")
    cron.job("0 3 * * *", "REFRESH MATERIALIZED VIEW a")
    role = make_role("looker")
    commands.environment["DATABASE_URL"] = database.conninfo_as(role)
    document = imported(commands)
    assert document["notes"][0].startswith("schedules were not taken over: this role may not read")
    assert config(commands).views["a"].owner == "postgres"


def test_a_time_zone_that_is_not_shown_is_said(
    commands: Commands, cron: Cronned, database: Database, make_role: Callable[..., str]
) -> None:
    cron.views("a")
    cron.job("0 3 * * *", "REFRESH MATERIALIZED VIEW a")
    role = make_role("looker")
    cron.connection.execute(
        sql.SQL("GRANT USAGE ON SCHEMA cron TO {0}; GRANT SELECT ON cron.job TO {0}").format(
            sql.Identifier(role)
        )
    )
    commands.environment["DATABASE_URL"] = database.conninfo_as(role)
    document = imported(commands)
    assert "GMT, its default, was assumed" in notes_of(document, "a")


def test_an_old_version_has_no_names(commands: Commands, cron: Cronned) -> None:
    cron.connection.execute("ALTER TABLE cron.job DROP COLUMN jobname, DROP COLUMN active")
    cron.views("a")
    cron.job("0 3 * * *", "REFRESH MATERIALIZED VIEW a")
    document = imported(commands)
    assert notes_of(document, "a").startswith("a: job 1 of pg_cron (0 3 * * *) refreshes it too")
