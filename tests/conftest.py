"""Fixtures that give each test a database of its own, on one PostgreSQL for the whole run.

`@pytest.mark.pg(">= 17")` keeps a test for some majors; on the others it is not selected.
"""

import contextlib
import itertools
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, LiteralString

import pytest
from packaging.specifiers import SpecifierSet
from psycopg import sql
from psycopg.conninfo import make_conninfo

from refresher.embedded.installation import Installation
from refresher.postgres import sessions
from tests import programs
from tests.servers import TEMPLATE, BorrowedServer, OwnedServer, ServerSource, endpoint_of

_SOURCE = pytest.StashKey[ServerSource]()
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", 'pg(versions): only for these PostgreSQL majors, such as ">= 17"'
    )
    config.addinivalue_line("markers", "program(name): needs this program of the system")
    # Ignoring it is inherited, under nohup for one, and the tests send it to see it heeded.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    invitation = getattr(config, "workerinput", {}).get("server")
    config.stash[_SOURCE] = BorrowedServer(invitation) if invitation else OwnedServer()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    source = node.config.stash[_SOURCE]
    assert isinstance(source, OwnedServer)
    node.workerinput["server"] = source.invitation()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_SOURCE].close()


def pytest_report_header() -> str | None:
    return programs.report_header()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unfit = [item for item in items if programs.lacks_a_program(item)]
    marked = [item for item in items if item.get_closest_marker("pg")]
    if marked:
        major = str(Installation.find().major())
        unfit += [item for item in marked if not _is_for(item, major)]
    if unfit:
        config.hook.pytest_deselected(items=unfit)
        items[:] = [item for item in items if item not in unfit]


def _is_for(item: pytest.Item, major: str) -> bool:
    return all(major in SpecifierSet(mark.args[0]) for mark in item.iter_markers("pg"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database of the test's own."""

    name: str
    conninfo: str
    """As the superuser."""

    @property
    def endpoint(self) -> sessions.Endpoint:
        return endpoint_of(self.conninfo)

    def connect(self) -> sessions.Connection:
        """A connection as refresher makes them: autocommit, rows as dicts. `with` closes it."""
        return sessions.connect(self.endpoint)

    def conninfo_as(self, role: str) -> str:
        """How another role connects to it."""
        return make_conninfo(self.conninfo, user=role)

    def connect_as(self, role: str) -> sessions.Connection:
        return sessions.connect(endpoint_of(self.conninfo_as(role)))


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> str:
    """The run's server: how its superuser connects."""
    return request.config.stash[_SOURCE].conninfo()


@pytest.fixture(scope="session")
def maintenance(server: str) -> Iterator[sessions.Connection]:
    """A connection outside all test databases."""
    with sessions.connect(endpoint_of(server)) as connection:
        yield connection


@pytest.fixture
def database(
    server: str, maintenance: sessions.Connection, worker_id: str, roles: list[str]
) -> Iterator[Database]:
    """A database with the `refresher` schema in it."""
    del roles  # they go after the database does
    with _database(server, maintenance, worker_id, template=TEMPLATE) as made:
        yield made


@pytest.fixture
def bare_database(
    server: str, maintenance: sessions.Connection, worker_id: str, roles: list[str]
) -> Iterator[Database]:
    """A database with nothing in it."""
    del roles  # they go after the database does
    with _database(server, maintenance, worker_id, template="template0") as made:
        yield made


@contextlib.contextmanager
def _database(
    server: str, maintenance: sessions.Connection, worker: str, *, template: str
) -> Iterator[Database]:
    name = f"test_{worker}_{next(_numbers)}"
    identifier = sql.Identifier(name)
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, sql.Identifier(template))
    if sessions.major(maintenance) >= 15:
        create += sql.SQL(" STRATEGY file_copy")
    maintenance.execute(create)
    yield Database(name=name, conninfo=make_conninfo(server, dbname=name))
    maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@pytest.fixture
def roles(maintenance: sessions.Connection) -> Iterator[list[str]]:
    """The names of the roles `make_role` made; roles belong to no database."""
    made: list[str] = []
    yield made
    if made:
        names = sql.SQL(", ").join(map(sql.Identifier, made))
        maintenance.execute(sql.SQL("DROP ROLE {}").format(names))


@pytest.fixture
def make_role(
    maintenance: sessions.Connection, worker_id: str, roles: list[str]
) -> Callable[..., str]:
    """Create a role no other test sees, such as `make_role("owner", "NOLOGIN")`."""

    def make(stem: str, options: LiteralString = "LOGIN") -> str:
        name = f"{stem}_{worker_id}_{next(_numbers)}"
        maintenance.execute(
            sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(name), sql.SQL(options))
        )
        roles.append(name)
        return name

    return make
