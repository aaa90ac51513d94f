from pathlib import Path

import pytest

from tests.unit.config.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty folder for a configuration."""
    return Project(tmp_path)
