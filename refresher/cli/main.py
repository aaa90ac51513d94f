"""The `refresher` command. Heavy libraries are imported by the commands that need them."""

import importlib
import io
import keyword
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from refresher import __version__
from refresher.cli import render
from refresher.cli.parameters import Group
from refresher.config.faults import shorten, suggest
from refresher.errors import RefresherError

_COMMANDS = {
    "demo": "Replay the incident on a private PostgreSQL, and cure it.",
    "init": "Write a commented config.yaml and an example definition.",
    "import": "Write configuration and SQL files for views that stand already.",
    "validate": "Check the configuration; with --database also against the server.",
    "plan": "Show what apply would change, why, and what that blocks.",
    "apply": "Make what stands what the definitions say, while readers go on.",
    "destroy": "Drop views, and forget what is known of them.",
    "run": "Run the daemon: refresh on schedule and serve metrics.",
    "run-now": "Refresh views now and say how it went.",
    "doctor": "Say what keeps refresher from working, and the SQL that cures it.",
    "status": "Show how fresh every view is.",
    "freshness": "Explain why a view is as stale as it is.",
    "history": "Show a view's last runs.",
    "verify": "Compare a view's contents with its query.",
    "pause": "Hold a view's schedule for a while.",
    "resume": "Let a paused view's schedule go on.",
    "config": "Tools around the configuration, such as its JSON Schema.",
}

_INTERRUPTED = 130
_DEBUG = "REFRESHER_DEBUG"
"""Set in the environment, it shows the traceback of what was not expected."""


class _LazyGroup(Group):
    """A group whose commands are modules of this package, imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        name += "_" if keyword.iskeyword(name) else ""
        module = importlib.import_module(f"refresher.cli.{name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS:
            ctx.fail(f"no command {shorten(args[0])!r}; {suggest(args[0], [*_COMMANDS])}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Keep PostgreSQL materialized views fresh, and prove it.",
    epilog="Exit codes: 0 done; 1 something failed; 2 invalid config or usage; 3 database"
    " unreachable; 10 a plan has changes; 130 interrupted.",
    examples={
        "refresher demo": "see it work, on a private PostgreSQL",
        "refresher init": "a configuration to begin with",
        "refresher plan": "what an apply would do",
        "refresher apply": "make what stands what config.yaml describes",
        "refresher run": "the daemon",
        "refresher run-now customer_sources": "refresh one view now",
    },
)
@click.version_option(__version__, prog_name="refresher")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("config.yaml"),
    envvar="REFRESHER_CONFIG",
    show_default=True,
    show_envvar=True,
    help="The configuration to use.",
    metavar="FILE",
)
@click.pass_context
def cli(context: click.Context, config_path: Path) -> None:
    """Choose the configuration; the commands do the rest."""
    context.obj = config_path


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    render.prepare_streams()
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, standalone_mode=False, prog_name="refresher")
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        click.echo(_masked(told.getvalue()), nl=False, err=True)  # it quotes what was typed
        return error.exit_code
    except RefresherError as error:
        render.complain(error)
        return error.exit_code
    except Exception as error:
        if _DEBUG in os.environ:
            raise
        render.complain(_explain(error))
        return 1
    return code if isinstance(code, int) else 0


def _explain(bug: Exception) -> str:
    """What nobody thought of, said without a traceback and without a secret."""
    return (
        f"unexpected {type(bug).__name__}: {_masked(str(bug))}\n"
        f"This is a bug in refresher; please report it with the traceback that {_DEBUG}=1 in the"
        " environment shows."
    )


def _masked(text: str) -> str:
    from refresher.observe.redaction import masked  # noqa: PLC0415 - needed here only

    return str(masked(text))
