"""Findings as people read them: lines that fit, and statements that stay whole to be copied."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from refresher.cli import render
from refresher.config.faults import printable
from refresher.doctor.model import Finding, Severity

_PIPE_WIDTH = 80
_WIDEST = 100
_MARGIN = 9
"""Room for the longest severity and a gap."""
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def print_findings(findings: Sequence[Finding]) -> None:
    """Print findings on stdout, with an empty line before each."""
    width = _width()
    for finding in findings:
        render.say("")
        first, *others = lines(finding, width)
        _print_first(finding.severity, first)
        for line in others:
            render.say(line)


def lines(finding: Finding, width: int) -> Iterator[str]:
    """A finding in lines of at most `width` characters, but for SQL and words that are longer."""
    head = printable(finding.message)
    yield from _wrapped(head, width, first=finding.severity.value.ljust(_MARGIN))
    yield from _wrapped(printable(finding.why), width)
    if finding.cure is not None:
        yield from _wrapped(f"Cure: {printable(finding.cure)}", width)
    for statement in finding.sql:
        yield f"{' ' * (_MARGIN + 2)}{printable(statement)};"


def _wrapped(text: str, width: int, *, first: str = " " * _MARGIN) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 2 * _MARGIN),
        initial_indent=first,
        subsequent_indent=" " * _MARGIN,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width() -> int:
    if not sys.stdout.isatty():
        return _PIPE_WIDTH
    return min(shutil.get_terminal_size().columns, _WIDEST)


def _print_first(severity: Severity, line: str) -> None:
    if not sys.stdout.isatty():
        render.say(line)
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe does without
    from rich.text import Text  # noqa: PLC0415

    text = Text(line)
    text.stylize(_STYLES[severity], 0, len(severity.value))
    Console().print(text, soft_wrap=True)
