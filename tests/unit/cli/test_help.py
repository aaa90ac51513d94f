"""What `--help` says: kept word by word, with examples that work, and at once."""

import shlex
import subprocess
import sys

import click

from refresher.cli.main import cli
from refresher.cli.parameters import Command, Group
from tests.unit.cli.help_texts import FOLDER, commands, texts

HEAVY = {
    "apscheduler",
    "prometheus_client",
    "psycopg",
    "pydantic",
    "rich",
    "sqlglot",
    "starlette",
    "structlog",
    "uvicorn",
    "yaml",
}


def test_help_is_as_it_is_kept() -> None:
    kept = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert texts() == kept


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    told = {name: command.get_short_help_str(100) for name, command, _ in commands()}
    listing = cli.get_help(click.Context(cli, terminal_width=100))
    for name in cli.list_commands(click.Context(cli)):
        assert f"  {name:<9}  {told[f'refresher {name}']}" in listing.splitlines()


def test_every_help_has_examples_that_are_valid() -> None:
    for name, command, _ in commands():
        assert isinstance(command, Command | Group)
        assert command.examples
        for example in command.examples:
            words = shlex.split(example.partition(" > ")[0])
            assert words[: len(name.split())] == name.split()
            _parse(words[1:])


def _parse(words: list[str]) -> None:
    """Parse a command line as the command itself would, without carrying it out."""
    context = cli.make_context("refresher", words)
    while isinstance(context.command, click.Group):
        left = [*context._protected_args, *context.args]
        name, found, rest = context.command.resolve_command(context, left)
        assert found is not None
        context = found.make_context(name, rest, parent=context)


def test_help_loads_nothing_heavy() -> None:
    # 0.3 s are what a user waits for: each of these alone takes a good part of that.
    script = (
        "import sys; from refresher.cli.main import _run; _run(['--help']);"
        f" print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert ended.stderr == "[]\n"
    assert ended.stdout.startswith("Usage: refresher")
