"""`refresher demo`: the incident, replayed and cured."""

import sys
from pathlib import Path

import click

from refresher.cli.parameters import Command, hide_url, json_option
from refresher.cli.render import print_json


@click.command(
    cls=Command,
    examples={
        "refresher demo": "the whole story, then a live status until Ctrl-C",
        "refresher demo --once": "stop after the first refresh cycle",
        "refresher demo --once --json --scale 0.1": "what was measured, for programs",
        "refresher demo --database-url postgresql://me@db/postgres": "on a server of yours",
    },
)
@click.option("--once", is_flag=True, help="Stop after the first refresh cycle.")
@click.option(
    "--scale",
    type=float,
    default=1.0,
    show_default=True,
    metavar="FACTOR",
    help="Multiply the data; 1 is the incident's own size: 15,549 customers.",
)
@click.option(
    "--database-url",
    is_eager=True,
    callback=hide_url,
    metavar="URL",
    help="Use this server instead of a private one. The demo makes a database and two roles of its"
    " own there, touches nothing else, and removes them when it ends.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the private server's data here; without it they are thrown away.",
)
@json_option
def command(
    *, once: bool, scale: float, database_url: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Replay the incident on a private PostgreSQL, and cure it.

    A customer list of a CRM dies of its statement timeout, though its count looks healthy. The demo
    makes the CRM, lets the list die, cures it with a materialized view, and keeps that fresh while
    orders come in. It needs no database, and takes about half a minute.

    With --json, the story is told on stderr.
    """
    if database_url is not None and data_dir is not None:
        message = "--data-dir is for the private server, and --database-url names another; use one"
        raise click.UsageError(message)
    from refresher.config.model import Secret  # noqa: PLC0415 - --help does without
    from refresher.demo.run import Options, run  # noqa: PLC0415
    from refresher.demo.stage import Stage  # noqa: PLC0415
    from refresher.observe.log import configure_logging  # noqa: PLC0415

    configure_logging()
    options = Options(
        once=once,
        scale=scale,
        database_url=None if database_url is None else Secret(database_url),
        data_dir=data_dir,
    )
    try:
        report = run(options, Stage(sys.stderr if as_json else sys.stdout))
    except BrokenPipeError:
        return  # nobody reads the story any more (`refresher demo | head`), which is no failure
    if as_json:
        print_json(report.as_json())
