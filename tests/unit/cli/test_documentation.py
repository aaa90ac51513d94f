"""docs/commands.md and the commands say the same."""

import re

import click

from refresher.cli.parameters import Command
from refresher.errors import FailureReason
from refresher.runs import Outcome, Strategy, Trigger
from tests.documented import SECTIONS, documents
from tests.unit.builders import run
from tests.unit.cli.help_texts import commands


def options(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def test_every_command_has_its_section_in_order() -> None:
    assert list(SECTIONS) == [*(name for name, _, _ in commands()), "A run"]


def test_every_option_is_described_as_its_help_does() -> None:
    for name, command, context in commands():
        lines = [line for line in SECTIONS[name].splitlines() if line.startswith("- `-")]
        described = {line.partition("`: ")[0].partition("- `")[2]: line for line in lines}
        described = {key.partition("`, `")[2] or key: line for key, line in described.items()}
        wanted = {}
        for option in options(command):
            if not option.is_flag:
                metavar = option.make_metavar(context)
                wanted[f"{option.opts[-1]} {metavar}"] = option.help
            else:
                wanted[option.opts[-1]] = option.help
        if name == "refresher":
            described.pop("--help")
        assert set(described) == set(wanted)
        for option_name, text in wanted.items():
            assert text is not None
            assert text.partition("  [")[0].rstrip(".") in described[option_name]


def test_every_argument_is_named() -> None:
    for name, command, context in commands():
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                metavar = parameter.make_metavar(context).strip("[].")
                assert f"`{metavar}`" in SECTIONS[name]


def test_every_example_is_shown() -> None:
    for name, command, _ in commands():
        assert isinstance(command, Command)
        shown = re.findall(r"^\$ (.*)$", SECTIONS[name], re.MULTILINE)
        assert shown == list(command.examples)


def test_a_run_is_shown_as_it_is() -> None:
    (shown,) = documents("A run")
    assert set(shown) == set(run().as_json())
    words = {*Trigger, *Strategy, *Outcome, *FailureReason}
    assert words <= set(re.findall(r"`(\w+)`", SECTIONS["A run"]))


def test_every_document_a_command_prints_is_shown() -> None:
    for name, command, _ in commands():
        if any("--json" in option.opts for option in options(command)):
            is_shown = documents(name) or "](#a-run)" in SECTIONS[name]
            assert is_shown or name == "refresher config schema"
