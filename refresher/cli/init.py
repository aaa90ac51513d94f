"""`refresher init`: a commented configuration and an example definition to begin with."""

from pathlib import Path

import click

from refresher.cli import render
from refresher.cli.parameters import Command, json_option
from refresher.cli.writing import write_new
from refresher.config.starter import STARTER_QUERY_FILE, starter_query, starter_text

_CONFIG_FILE = "config.yaml"


@click.command(
    "init",
    cls=Command,
    short_help="Write a commented config.yaml and an example definition.",
    help="Write a commented config.yaml, and the SQL of an example view, into a directory.\n\n"
    "The example works on any server. Nothing is ever overwritten.",
    examples={
        "refresher init": "here",
        "refresher init /etc/refresher": "there; the directory is made if it is missing",
    },
)
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@json_option
def command(directory: Path, *, as_json: bool) -> None:
    """Write a configuration to begin with."""
    texts = {
        directory / _CONFIG_FILE: starter_text(),
        directory / STARTER_QUERY_FILE: starter_query(),
    }
    write_new(texts)
    if as_json:
        render.print_json({"written": [str(path) for path in texts]})
        return
    for path in texts:
        render.say(f"wrote {path}")
    render.tell(
        "next: set DATABASE_URL to the database, then `refresher validate --database`,"
        " `refresher apply` and `refresher run`"
    )
