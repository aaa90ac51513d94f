"""`refresher run`: the daemon."""

import os
from datetime import timedelta
from functools import partial
from typing import get_args

import click
from setproctitle import setproctitle

from refresher.cli.context import load
from refresher.cli.parameters import Command, Duration, config_option
from refresher.config.load import load_config
from refresher.daemon.daemon import Daemon
from refresher.daemon.supervisor import Supervisor
from refresher.observe.log import Level, configure_logging, log_event


@click.command(
    "run",
    cls=Command,
    short_help="Run the daemon: refresh on schedule and serve metrics.",
    help="Run the daemon: refresh views on schedule, and serve /metrics, /healthz and /readyz.\n\n"
    "SIGTERM or Ctrl-C: begin nothing more, let refreshes at work end for as long as --drain says,"
    " then cancel them on the server. The same again: cancel at once. SIGHUP or a changed file:"
    " read the configuration again; an invalid one leaves the old one in force.",
    examples={
        "refresher run": "JSON logs, or readable ones on a terminal",
        "refresher run --apply": "create what is missing first",
        "refresher run --drain 5m": "where refreshes take minutes",
        "refresher run --log-level debug": "to look closely",
    },
)
@click.option("--apply", "applies", is_flag=True, help="Do first what `refresher apply` does.")
@click.option(
    "--drain",
    type=Duration(none_too=True),
    default="30s",
    show_default=True,
    help="How long refreshes at work may go on once asked to stop.",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "console"]),
    help="How to log to stderr.  [default: console on a terminal, else json]",
)
@click.option(
    "--log-level",
    type=click.Choice(get_args(Level)),
    default="info",
    show_default=True,
    help="What to log: this and graver.",
)
@config_option
@click.pass_context
def command(
    context: click.Context,
    *,
    applies: bool,
    drain: timedelta,
    log_format: str | None,
    log_level: Level,
) -> None:
    """Run the daemon."""
    config = load(context)
    setproctitle("refresher run")
    configure_logging(json=None if log_format is None else log_format == "json", level=log_level)
    daemon = Daemon(config, listener=log_event, applies=applies)
    Supervisor(daemon, config, partial(load_config, context.obj, os.environ), drain=drain).run()
