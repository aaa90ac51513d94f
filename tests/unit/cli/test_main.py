"""How commands end, whatever happens: one message, one exit code, no traceback."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import click
import pytest

from refresher.cli import main
from refresher.errors import (
    CatalogError,
    ConfigError,
    FailureReason,
    PlanError,
    RefresherError,
    RefreshError,
    StoreError,
    UnreachableError,
)

Boom = Callable[[BaseException], int]


@pytest.fixture
def boom(monkeypatch: pytest.MonkeyPatch) -> Boom:
    """A command that ends with an error; returns the exit code."""

    def run(error: BaseException) -> int:
        @click.command()
        def command() -> NoReturn:
            raise error

        module = ModuleType("refresher.cli.boom")
        vars(module)["command"] = command
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(main._COMMANDS, "boom", "Fail.")
        with pytest.raises(SystemExit) as ended:
            main.main(["boom"])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefresherError("it failed; try this"), 1),
        (RefreshError("it failed; try this", reason=FailureReason.CHECK), 1),
        (CatalogError("it failed; try this"), 1),
        (StoreError("it failed; try this"), 1),
        (ConfigError("it failed; try this"), 2),
        (PlanError("it failed; try this"), 2),
        (UnreachableError("it failed; try this"), 3),
    ],
)
def test_an_error_is_one_message_and_its_exit_code(
    boom: Boom, capsys: pytest.CaptureFixture[str], error: RefresherError, code: int
) -> None:
    assert boom(error) == code
    assert capsys.readouterr() == ("", "refresher: it failed; try this\n")


def test_an_interruption_is_130(boom: Boom, capsys: pytest.CaptureFixture[str]) -> None:
    assert boom(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_a_bug_asks_to_be_reported_without_traceback_or_secret(
    boom: Boom, capsys: pytest.CaptureFixture[str]
) -> None:
    assert boom(RuntimeError("no way: password=hunter2")) == 1
    told = capsys.readouterr().err
    assert told.startswith("refresher: unexpected RuntimeError: no way: password=…\n")
    assert "please report it" in told
    assert "Traceback" not in told


def test_a_bug_shows_its_traceback_when_asked_to(
    boom: Boom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFRESHER_DEBUG", "1")
    with pytest.raises(RuntimeError):
        boom(RuntimeError("no way"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["statsu"],
        ["status", "--jsn"],
        ["pause", "v"],
        ["pause", "v", "--for", "soon"],
        ["pause", "v", "--for", "0s"],
        ["pause", "--for", "4h"],
        ["resume"],
        ["history"],
        ["history", "v", "--limit", "0"],
        ["run-now"],
        ["run-now", "v", "--all"],
        ["run-now", "v", "--strategy", "merge"],
        ["run", "--drain", "-1s"],
        ["run", "--log-level", "loud"],
    ],
)
def test_wrong_usage_is_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error: " in err


def test_an_unknown_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["statsu\x1b"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(
        "Error: no command 'statsu\\x1b'; did you mean status?\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate"],
        ["plan"],
        ["apply"],
        ["destroy", "v"],
        ["run"],
        ["run-now", "--all"],
        ["status"],
        ["history", "v"],
        ["pause", "v", "--for", "1h"],
        ["resume", "v"],
    ],
)
@pytest.mark.parametrize("place", ["default", "before", "after", "environment"])
def test_every_command_reads_the_configuration_it_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    place: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REFRESHER_CONFIG", raising=False)
    named = ["--config", "other.yaml"]
    if place == "environment":
        monkeypatch.setenv("REFRESHER_CONFIG", "other.yaml")
    before, after = (named if place == "before" else []), (named if place == "after" else [])
    with pytest.raises(SystemExit) as ended:
        main.main([*before, *arguments, *after])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    file = "config.yaml" if place == "default" else "other.yaml"
    assert (out, err) == (
        "",
        f"refresher: {file}: does not exist; create it, or correct its name\n",
    )


def test_what_was_typed_is_not_told_with_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["demo", "postgresql://crm:hunter2@db/crm"])
    told = capsys.readouterr().err
    assert "unexpected extra argument" in told
    assert "hunter2" not in told
