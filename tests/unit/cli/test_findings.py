"""How a finding looks."""

import re
import sys

import pytest

from refresher.cli.findings import lines, print_findings
from refresher.doctor.model import Finding, Severity
from tests.unit.cli.test_table import Terminal

FINDING = Finding(
    severity=Severity.WARNING,
    topic="readers",
    message="public.customer_sources is readable by anon",
    why="Row-level security never protects a materialized view, and tables it reads have it.",
    cure="`grants` in the configuration says who shall read it",
    sql=("REVOKE ALL ON public.customer_sources_with_a_name_that_is_very_long_indeed FROM anon",),
)


def test_words_are_wrapped_and_statements_are_whole() -> None:
    *text, statement = lines(FINDING, 60)
    assert statement == f"           {FINDING.sql[0]};"
    assert text == [
        "warning  public.customer_sources is readable by anon",
        "         Row-level security never protects a materialized",
        "         view, and tables it reads have it.",
        "         Cure: `grants` in the configuration says who shall",
        "         read it",
    ]


@pytest.mark.parametrize("width", [1, 20, 80])
def test_no_terminal_is_too_narrow(width: int) -> None:
    text = "".join("".join(lines(FINDING, width)).split())
    for part in (FINDING.message, FINDING.why, *FINDING.sql):
        assert "".join(part.split()) in text


def test_names_can_not_speak_to_the_terminal() -> None:
    hostile = Finding(
        severity=Severity.NOTE, topic="unmanaged", message="a\x1b[2Jb", why="c\nd", sql=("e\x07",)
    )
    assert list(lines(hostile, 80)) == [
        "note     a\\x1b[2Jb",
        "         c\\nd",
        "           e\\x07;",
    ]


def test_a_pipe_gets_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([FINDING])
    printed = capsys.readouterr().out
    assert printed.startswith("\nwarning  public")
    assert "\x1b" not in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 80


def test_a_terminal_gets_them_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_findings([FINDING])
    assert "\x1b[33mwarning" in terminal.text
    plain = re.sub("\x1b\\[[0-9;]*m", "", terminal.text)
    assert plain.splitlines() == ["", *lines(FINDING, 60)]
