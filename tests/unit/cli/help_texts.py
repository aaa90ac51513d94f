"""The help of every command at width 100, as it is kept in `help/`.

After a change that is meant, write them again:

    .venv/bin/python -m tests.unit.cli.help_texts
"""

from collections.abc import Iterator
from pathlib import Path

import click

from refresher.cli.main import cli

FOLDER = Path(__file__).parent / "help"
WIDTH = 100


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command by its full name, groups before what is in them, with a context to ask it."""
    context = click.Context(
        cli,
        info_name="refresher",
        terminal_width=WIDTH,
        help_option_names=cli.context_settings["help_option_names"],
    )
    yield from _walk("refresher", cli, context)


def _walk(
    name: str, command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield name, command, context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            inner = click.Context(found, parent=context, info_name=below, terminal_width=WIDTH)
            yield from _walk(f"{name} {below}", found, inner)


def texts() -> dict[str, str]:
    """File name to help text."""
    return {
        f"{name.replace(' ', '_')}.txt": f"{context.get_help()}\n"
        for name, _, context in commands()
    }


def write() -> None:
    """Write them all, and nothing else."""
    FOLDER.mkdir(exist_ok=True)
    wanted = texts()
    for path in FOLDER.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()
