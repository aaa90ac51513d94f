from pathlib import Path

import pytest

from tests.conftest import Database
from tests.project import Project


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A folder for the test's own database, which has the store already."""
    return Project(tmp_path, {"DATABASE_URL": database.conninfo})
