"""pg_cron has its jobs in one database, for all of a server."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
from psycopg import sql

from refresher.adoption.jobs import read_jobs
from refresher.adoption.model import Jobs
from refresher.errors import CatalogError, UnreachableError
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.integration.cli.test_import_jobs import CRON


@pytest.fixture
def role(make_role: Callable[..., str]) -> str:
    """Somebody who is shown no settings of pg_cron, and so has to guess where it is."""
    return make_role("looker")


def offered(connection: Connection) -> Callable[[str], AbstractContextManager[Connection]]:
    """The road to `postgres`, where pg_cron has its jobs unless told otherwise."""

    def connect_to(name: str) -> AbstractContextManager[Connection]:
        assert name == "postgres"
        return nullcontext(connection)

    return connect_to


def test_jobs_in_another_database(database: Database, bare_database: Database, role: str) -> None:
    with bare_database.connect() as owner:
        owner.execute(CRON)
        owner.execute(
            sql.SQL(
                "GRANT USAGE ON SCHEMA cron TO {role}; GRANT SELECT ON cron.job TO {role};"
                " INSERT INTO cron.job (schedule, command, database) VALUES"
                " ('0 3 * * *', 'REFRESH MATERIALIZED VIEW a', {ours}), ('0 4 * * *', 'b', 'other')"
            ).format(role=sql.Identifier(role), ours=sql.Literal(database.name))
        )
    with database.connect_as(role) as ours, bare_database.connect_as(role) as home:
        found = read_jobs(ours, offered(home))
    assert [job.schedule for job in found.jobs] == ["0 3 * * *"]
    assert found.database == bare_database.name
    assert found.timezone is None


def test_there_is_none_either(database: Database, bare_database: Database, role: str) -> None:
    with database.connect_as(role) as ours, bare_database.connect_as(role) as home:
        assert read_jobs(ours, offered(home)) == Jobs()


def test_it_can_not_be_reached(database: Database, role: str) -> None:
    def connect_to(name: str) -> AbstractContextManager[Connection]:
        message = f"can't connect to database {name!r}"
        raise UnreachableError(message)

    with database.connect_as(role) as ours, pytest.raises(CatalogError) as caught:
        read_jobs(ours, connect_to)
    assert str(caught.value) == (
        "pg_cron may have jobs in the database 'postgres', but can't connect to database 'postgres'"
    )


def test_whoever_sees_all_settings_need_not_guess(database: Database) -> None:
    def connect_to(name: str) -> AbstractContextManager[Connection]:
        raise AssertionError(name)

    with database.connect() as ours:
        assert read_jobs(ours, connect_to) == Jobs()
        ours.execute(CRON)
        assert read_jobs(ours, connect_to).timezone == "GMT"
