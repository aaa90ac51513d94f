import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.project import Project
from tests.servers import fast_directory


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A folder for the test's own database, which has the store already."""
    return Project(tmp_path, {"DATABASE_URL": database.conninfo})


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory a server's own account can enter; root's temporary ones are closed to it."""
    with tempfile.TemporaryDirectory(prefix="refresher-test-", dir=fast_directory()) as path:
        Path(path).chmod(0o711)
        yield Path(path)
