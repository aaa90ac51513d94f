"""`refresher pause`: hold a view's schedule for a while."""

from datetime import timedelta

import click

from refresher.cli import render
from refresher.cli.context import (
    databases_of,
    in_each_database,
    load,
    open_store,
    pick_views,
    require_refreshed,
    with_groups,
)
from refresher.cli.parameters import Command, Duration, config_option, json_option
from refresher.cli.person import name_of_person
from refresher.store.control import pause


@click.command(
    "pause",
    cls=Command,
    short_help="Hold a view's schedule for a while.",
    help="Hold the schedule of views for a while.\n\n"
    "What is being refreshed goes on, and `refresher run-now` works as ever. Views that read a"
    " paused one do not wait for it. A pause that is in force is replaced. Of a group all views"
    " are held.",
    examples={
        "refresher pause customer_sources --for 4h": "until four hours from now",
        "refresher pause customer_sources --for 1m": "a pause can be shortened, too",
    },
)
@click.argument("views", metavar="VIEW...", nargs=-1, required=True)
@click.option(
    "--for", "duration", type=Duration(), required=True, help="How long, such as 30m, 4h or 2d."
)
@config_option
@json_option
@click.pass_context
def command(
    context: click.Context, views: tuple[str, ...], *, duration: timedelta, as_json: bool
) -> int:
    """Hold the schedule of views."""
    config = load(context)
    picked = with_groups(config, pick_views(config, views))
    require_refreshed(picked.values(), "there is no schedule to hold")

    def hold(alias: str) -> list[dict[str, str]]:
        told = []
        with open_store(config, alias) as connection:
            for name in [name for name, view in picked.items() if view.database == alias]:
                until = pause(connection, name, duration=duration, by=name_of_person())
                told.append({"view": name, "paused_until": until.isoformat()})
                if not as_json:
                    render.say(f"{name}: paused until {render.moment(until)}")
        return told

    results, code = in_each_database(databases_of(picked.values()), hold)
    if as_json:
        render.print_json([entry for told in results.values() for entry in told])
    return code
