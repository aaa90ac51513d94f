"""What commands have in common on the command line: help with examples, shared options, types."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from refresher.durations import parse_duration


class Command(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *arguments: Any, examples: Mapping[str, str], **settings: Any) -> None:  # noqa: ANN401 - click's own
        """`examples` are whole command lines and what they do."""
        super().__init__(*arguments, **settings)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples after the options."""
        with formatter.section("Examples"):
            formatter.write_dl(list(self.examples.items()), col_max=50)
        super().format_epilog(ctx, formatter)


class Group(Command, click.Group):
    """A group of commands whose help ends with examples."""


class Duration(click.ParamType[timedelta]):
    """A duration longer than none, such as 30s or 1h30m."""

    name = "duration"

    def __init__(self, *, none_too: bool = False) -> None:
        """`none_too` admits 0s."""
        self._none_too = none_too

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read it as the configuration does."""
        try:
            duration = value if isinstance(value, timedelta) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not duration and not self._none_too:
            self.fail(f"{value!r} is no time at all", param, ctx)
        return duration


def _choose_config(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.obj = path


def hide_url(context: click.Context, _: click.Parameter, url: str | None) -> str | None:
    """Take a URL, which may hold a password, out of the list of processes."""
    if url is not None:
        import setproctitle  # noqa: PLC0415 - nothing else needs it

        setproctitle.setproctitle(f"refresher {context.info_name}")
    return url


config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_choose_config,
    help="The configuration to use, as before the command.",
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else."
)

allow_drop_option = click.option(
    "--allow-drop",
    metavar="NAME",
    multiple=True,
    help="Let go what would not work any more, as a problem names it; may be repeated.",
)
