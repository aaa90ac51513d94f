"""The listeners that the page shows hear what it says."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import pytest

from refresher.config.model import View
from refresher.embedded.installation import Installation
from tests.conftest import Database
from tests.integration.refresh.conftest import Workshop
from tests.pages import DOCS, blocks, codes, rows, section

PAGE = DOCS / "notify.md"
_SECONDS = 30.0


class Program:
    """A program that is talked with, line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=[process.stdout])
        self._reader.start()

    def _read(self, stdout: IO[str]) -> None:
        for line in stdout:
            self._lines.put(line)

    def say(self, line: str) -> None:
        self._stdin.write(f"{line}\n")
        self._stdin.flush()

    def wait_for(self, beginning: str) -> str:
        """The next line that begins like that; fails if none comes."""
        while True:
            line = self._lines.get(timeout=_SECONDS)
            if line.startswith(beginning):
                return line

    def join(self) -> None:
        self._reader.join()


@contextmanager
def running(command: Sequence[str], database: Database) -> Iterator[Program]:
    with subprocess.Popen(
        command,
        env={**os.environ, "DATABASE_URL": database.conninfo},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        program = Program(process)
        try:
            yield program
        finally:
            process.kill()
            program.join()


@pytest.fixture
def view(workshop: Workshop) -> View:
    return workshop.view("customer_sources", "SELECT 1 AS id")


def test_the_listener_in_python_hears_a_success(
    database: Database, workshop: Workshop, view: View
) -> None:
    (listener,) = blocks(PAGE, "python")
    with running([sys.executable, "-c", listener.text], database) as program:
        program.wait_for("customer_sources None")
        run = workshop.refresh(view)
        assert run.as_of is not None
        assert program.wait_for("customer_sources").split()[-1] == "1"


def test_psql_shows_a_success(database: Database, workshop: Workshop, view: View) -> None:
    (console,) = blocks(PAGE, "console")
    said = [line.removeprefix("crm=> ") for line in console.text.splitlines() if "=> " in line]
    assert len(said) == 2
    psql = Installation.find().program("psql")
    command = [psql, "--no-psqlrc", "--dbname", database.conninfo]
    with running(command, database) as program:
        program.say(said[0])
        program.wait_for("LISTEN")
        run = workshop.refresh(view)
        program.say(said[1])
        shown = program.wait_for("Asynchronous notification")
    documented = console.text.splitlines()[-1]
    assert shown.partition('"run":')[0] == documented.partition('"run":')[0]
    assert f'"run":{run.id},' in shown


def test_the_fields_are_the_documented_ones(workshop: Workshop, view: View) -> None:
    with workshop.connection as connection:
        connection.execute("LISTEN refresher")
        workshop.refresh(view)
        (notification,) = connection.notifies(timeout=_SECONDS, stop_after=1)
        row = connection.execute(
            "SELECT array_agg(key) AS names FROM json_object_keys(%s) AS key",
            [notification.payload],
        ).fetchone()
    assert row is not None
    documented = [name for row in rows(section(PAGE, "The payload")) for name in codes(row[0])]
    assert row["names"] == documented
