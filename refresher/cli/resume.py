"""`refresher resume`: let a paused view's schedule go on."""

import click

from refresher.cli import render
from refresher.cli.context import (
    databases_of,
    in_each_database,
    load,
    open_store,
    pick_views,
    with_groups,
)
from refresher.cli.parameters import Command, config_option, json_option
from refresher.store.control import resume


@click.command(
    "resume",
    cls=Command,
    short_help="Let a paused view's schedule go on.",
    help="Let the schedule of paused views go on; what has become due meanwhile is refreshed.",
    examples={"refresher resume customer_sources": "end its pause now"},
)
@click.argument("views", metavar="VIEW...", nargs=-1, required=True)
@config_option
@json_option
@click.pass_context
def command(context: click.Context, views: tuple[str, ...], *, as_json: bool) -> int:
    """Let the schedule of views go on."""
    config = load(context)
    picked = with_groups(config, pick_views(config, views))

    def release(alias: str) -> list[dict[str, str | bool]]:
        told: list[dict[str, str | bool]] = []
        with open_store(config, alias) as connection:
            for name in [name for name, view in picked.items() if view.database == alias]:
                was_paused = resume(connection, name)
                told.append({"view": name, "was_paused": was_paused})
                if not as_json:
                    render.say(f"{name}: {'resumed' if was_paused else 'was not paused'}")
        return told

    results, code = in_each_database(databases_of(picked.values()), release)
    if as_json:
        render.print_json([entry for told in results.values() for entry in told])
    return code
