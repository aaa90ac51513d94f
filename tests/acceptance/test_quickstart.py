"""docs/quickstart.md, followed to the letter by somebody who has only what it names."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.pages import DOCS, Block, blocks
from tests.project import Project

PAGE = DOCS / "quickstart.md"
_FILE = re.compile(r"^`([\w/.]+)`:$")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d")
_DUE = re.compile(r"due since .+ UTC, no daemon is at work")
"""A view is due once a minute: it may have become so just before it is shown."""
_LENGTH = re.compile(r"\b\d[\d.]*(?:ms|[smhd])(?: \d+[smh])?\b")
_GAPS = re.compile(r" {2,}")


@pytest.fixture
def newcomer(tmp_path: Path, bare_database: Database) -> Project:
    return Project(tmp_path, {"DATABASE_URL": bare_database.conninfo})


def test_the_quickstart_works_as_it_is_written(newcomer: Project, bare_database: Database) -> None:
    ran = []
    with ExitStack() as daemons:
        for block in blocks(PAGE):
            file = _FILE.match(block.label)
            match block.language:
                case "sql" | "yaml" if file:
                    write(newcomer, file[1], block.text)
                case "sql":
                    with bare_database.connect() as connection:
                        connection.execute(block.text)
                case "console":
                    for command, said in sessions(block):
                        if command == ["run"]:
                            daemons.enter_context(newcomer.daemon()).wait_for_log("run.succeeded")
                        else:
                            follow(newcomer, command, said)
                        ran.append(command[0])
    assert ran == [
        *("--version", "init", "validate", "validate", "apply", "plan"),
        *("run-now", "status", "history", "run", "status"),
    ]
    with bare_database.connect() as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'm' OR relname = 'freshness'"
        ).fetchall()
    assert left == []


def write(newcomer: Project, name: str, text: str) -> None:
    # Its port may be taken here.
    (newcomer.folder / name).write_text(text.replace(":9187", ":0"))


def sessions(block: Block) -> Iterator[tuple[list[str], list[str]]]:
    """Each command of ours, with what it says where that is shown."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, *said = part.splitlines()
        program, *arguments = command.split()
        if program == "refresher":
            yield arguments, said


def follow(newcomer: Project, command: list[str], said: list[str]) -> None:
    finished = newcomer.run(*command)
    assert finished.code == 0, finished.stderr
    if said:
        lines = [*finished.stderr.splitlines(), *finished.stdout.splitlines()]
        assert sorted(map(constant, lines)) == sorted(map(constant, said))


def constant(line: str) -> str:
    """A line without what differs from run to run."""
    return _GAPS.sub(" ", _LENGTH.sub("…", _MOMENT.sub("…", _DUE.sub("-", line))))
