import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

import pytest

from refresher.store.migrate import migrate
from tests import pooler as pgbouncer
from tests.acceptance.restarting import RestartedServer
from tests.conftest import Database
from tests.pooler import PgBouncer
from tests.project import Project
from tests.roads import Road, chosen_road, make_least
from tests.servers import fast_directory


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On another road than the usual one, leave out what does not go it: it would be the same."""
    if chosen_road() is Road.DIRECT:
        return
    here = Path(__file__).parent
    elsewhere = [
        item
        for item in items
        if item.path.is_relative_to(here) and "conninfo" not in getattr(item, "fixturenames", ())
    ]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


@pytest.fixture(scope="session")
def pooler(server: str) -> Iterator[PgBouncer]:
    """A pooler before the run's server."""
    with pgbouncer.running(server) as running:
        yield running


@pytest.fixture
def road() -> Road:
    """Which way this run's tests take."""
    return chosen_road()


def _recipe(folder: Path, database: Database, role: str) -> str:
    """What the doctor prints for a role that is to work on views in `public`."""
    folder.mkdir()
    project = Project(folder, {"DATABASE_URL": database.conninfo})
    project.configure({"any": {"kind": "view", "query": "SELECT 1 AS id"}})
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert project.call("doctor", "--sql", "--role", role) == 0
    return printed.getvalue()


@pytest.fixture
def conninfo(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    road: Road,
    database: Database,
    roles: list[str],
) -> str:
    """How the program under test connects to the test's own database, which has the store."""
    match road:
        case Road.DIRECT:
            return database.conninfo
        case Road.PGBOUNCER:
            before: PgBouncer = request.getfixturevalue("pooler")
            return before.conninfo(database.conninfo)
        case Road.LEAST_PRIVILEGE:
            role = f"refresher_{database.name}"
            with database.connect() as connection:
                connection.execute("DROP SCHEMA refresher CASCADE")
                make_least(connection, role, _recipe(tmp_path / "recipe", database, role))
            roles.append(role)
            with database.connect_as(role) as connection:
                migrate(connection)
            return database.conninfo_as(role)
        case _:
            assert_never(road)


@pytest.fixture
def project(tmp_path: Path, conninfo: str) -> Project:
    """A folder for the test's own database."""
    return Project(tmp_path, {"DATABASE_URL": conninfo})


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory a server's own account can enter; root's temporary ones are closed to it."""
    with tempfile.TemporaryDirectory(prefix="refresher-test-", dir=fast_directory()) as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
def own_server(open_dir: Path) -> Iterator[RestartedServer]:
    """Not started yet."""
    server = RestartedServer(open_dir)
    yield server
    server.stop()
