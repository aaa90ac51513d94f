"""`refresher config`: tools around the configuration."""

import click

from refresher.cli import render
from refresher.cli.parameters import Command, Group
from refresher.config.schema import json_schema


@click.group(
    "config",
    short_help="Tools around the configuration, such as its JSON Schema.",
    cls=Group,
    help="Tools around the configuration.",
    examples={"refresher config schema": "what config.yaml may hold"},
)
def command() -> None:
    """Tools around the configuration."""


@command.command(
    "schema",
    cls=Command,
    short_help="Print the configuration's JSON Schema.",
    help="Print the JSON Schema of config.yaml, for editors that complete and check it.",
    examples={"refresher config schema > config.schema.json": "then point the editor at it"},
)
@click.option(
    "--json", "as_json", is_flag=True, help="Accepted for uniformity: it is JSON in any case."
)
def schema(*, as_json: bool) -> None:
    """Print the configuration's JSON Schema."""
    del as_json
    render.print_json(json_schema())
