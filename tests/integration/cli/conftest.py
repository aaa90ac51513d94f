"""Commands called in this process, on a real database: all but the start of a real one."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.process import Finished
from tests.conftest import Database
from tests.project import Project


@dataclass(slots=True, kw_only=True)
class Commands(Project):
    """A folder in which commands are called instead of started."""

    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, deadline: float = 0) -> Finished:
        """Call a command; it takes the time it takes."""
        del deadline
        self.capsys.readouterr()
        code = self.call(*arguments)
        out, err = self.capsys.readouterr()
        return Finished(code=code, stdout=out, stderr=err)


@pytest.fixture
def commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], database: Database) -> Commands:
    """A folder to call commands in; the test's own database has a table `numbered` of ten rows."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE numbered AS SELECT id FROM generate_series(1, 10) AS id")
    return Commands(tmp_path, {"DATABASE_URL": database.conninfo}, capsys=capsys)
