"""What the pages show works: configurations load, commands and files exist."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from refresher.cli.main import cli
from refresher.config.load import load_config
from tests.pages import PAGES, ROOT, Block, blocks, codes, name_of, prose

CONFIGURATIONS = [
    pytest.param(block, id=f"{name_of(page)}:{block.line}")
    for page in PAGES
    for block in blocks(page, "yaml")
]
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_OURS = re.compile(r"(?:\.ci|deploy|docs|refresher|tests)/[\w./-]*\w")
_TARGET = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)


@pytest.mark.parametrize("block", CONFIGURATIONS)
def test_a_configuration_loads(block: Block, tmp_path: Path) -> None:
    shown: dict[str, Any] = yaml.safe_load(block.text)
    text = block.text
    if "databases" not in shown:
        text = f"databases: {{crm: {{conninfo: embedded}}}}\n{text}"
    (tmp_path / "config.yaml").write_text(text)
    for path, content in files_of(shown):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    variables = dict.fromkeys(_VARIABLE.findall(text), "postgresql://me@localhost/shop")

    config = load_config(tmp_path / "config.yaml", variables)

    assert set(config.views) == set(shown.get("views", {}))


def files_of(shown: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The files that a configuration names, and what to put into them."""
    for name, view in shown.get("views", {}).items():
        yield view.get("sql", f"sql/{name}.sql"), "SELECT 1 AS id"
    for pattern in shown.get("include", []):
        yield pattern.replace("*", "example"), "views: {}"
    for key, value in shown.get("server", {}).items():
        if key != "listen":
            yield value, "…"


def test_the_top_of_the_readme_has_a_configuration() -> None:
    assert blocks(ROOT / "README.md", "yaml")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_json_is_json(page: Path) -> None:
    for block in blocks(page, "json"):
        json.loads(block.text)


def command_lines(page: Path) -> Iterator[str]:
    """What follows a prompt, and what stands in backticks."""
    for block in blocks(page, "console"):
        for line in block.text.splitlines():
            if line.startswith(("$ ", "# ")):
                yield line[2:]
    yield from codes(prose(page))


COMMANDS = [
    (f"{name_of(page)}: {line}", words)
    for page in PAGES
    for line in command_lines(page)
    if (words := re.split(r"[|;]| > | && ", line)[0].split())
]


def cases(program: str) -> list[Any]:
    """The command lines that call a program with arguments."""
    return [
        pytest.param(words[1:], id=name)
        for name, words in COMMANDS
        if Path(words[0]).name == program and words[1:]
    ]


@pytest.mark.parametrize("arguments", cases("refresher"))
def test_a_command_exists_with_its_options(arguments: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli, help_option_names=cli.context_settings["help_option_names"])
    known = set[str]()
    rest = shlex.split(" ".join(arguments))
    while True:
        known |= {name for option in command.get_params(context) for name in option.opts}
        if not (isinstance(command, click.Group) and rest and not rest[0].startswith("-")):
            break
        found = command.get_command(context, rest.pop(0))
        assert found is not None
        command = found
    assert {word for word in rest if word.startswith("-")} <= known


@pytest.mark.parametrize("arguments", cases("make"))
def test_a_target_exists(arguments: list[str]) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    named = {word for word in arguments if re.fullmatch(r"[a-z-]+", word)}
    assert named
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_of_ours_exist(page: Path) -> None:
    named = {code for code in codes(prose(page)) if _OURS.fullmatch(code)}
    assert {path for path in named if not (ROOT / path).exists()} == set()
