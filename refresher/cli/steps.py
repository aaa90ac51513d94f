"""Plans as people read them, and steps as programs do.

What goes wrong comes first, what to do next last. Text is wrapped; queries never are.
"""

import dataclasses
import difflib
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from typing import Any, NamedTuple, assert_never

from refresher.cli import render
from refresher.config.faults import printable
from refresher.definitions.plan import Plan
from refresher.definitions.step import (
    Alter,
    Create,
    CreateIndex,
    Diff,
    Drop,
    DropIndex,
    Populate,
    Refresh,
    Rename,
    Replace,
    Step,
    Swap,
    Widen,
)
from refresher.definitions.wording import title

_PIPE_WIDTH = 80
_WIDEST = 100
_LEAST = 30
"""Narrower is left to the terminal: nobody reads a word a line."""
_PROBLEM = "bold red"
_DIFF_STYLES = {"---": "bold", "+++": "bold", "@@": "cyan", "-": "red", "+": "green"}
"""By what a line begins with; the first one that fits counts."""


class Line(NamedTuple):
    """A line, and how it looks on a terminal."""

    text: str
    style: str = ""


def print_plan(plan: Plan) -> None:
    """Print a plan on stdout: problems, steps, notes."""
    lines = plan_lines(plan, _width())
    if not sys.stdout.isatty():
        for line in lines:
            render.say(line.text)
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe does without
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    for line in lines:
        console.print(Text(line.text, style=line.style), soft_wrap=True)


def plan_lines(plan: Plan, width: int) -> Iterator[Line]:
    """A plan in lines of at most `width` characters, but for queries and longer words."""
    for problem in plan.problems:
        for text in _wrapped("problem: ", problem, width):
            yield Line(text, _PROBLEM)
    if plan.problems and plan.steps:
        yield Line("")
    for number, step in enumerate(plan.steps, start=1):
        yield from _step_lines(f"{number}. ", step, width)
        yield Line("")
    for note in plan.notes:
        yield from (Line(text) for text in _wrapped("note: ", note, width))


def step_json(step: Step) -> dict[str, Any]:
    """A step with all it says of itself; a diff also as it is shown to people."""
    fields = dataclasses.asdict(step)
    if isinstance(step, Replace | Widen | Swap):
        fields["diffs"] = [
            {**dataclasses.asdict(diff), "diff": "\n".join(_diff_lines(diff))}
            for diff in step.diffs
        ]
    return {
        "kind": step.kind,
        "title": title(step),
        "lock": step.lock,
        "blocks": step.blocks,
        **fields,
    }


def plan_json(alias: str, plan: Plan | None, error: object = None) -> dict[str, Any]:
    """What is said of one database; without a plan there is an error that says why."""
    return {
        "database": alias,
        "steps": [step_json(step) for step in plan.steps] if plan else [],
        "problems": list(plan.problems) if plan else [],
        "notes": list(plan.notes) if plan else [],
        "drift": [dataclasses.asdict(found) for found in plan.drift] if plan else [],
        "error": None if error is None else str(error),
    }


def _step_lines(number: str, step: Step, width: int) -> Iterator[Line]:
    for text in _wrapped(number, title(step), width):
        yield Line(text, "bold")
    indent = " " * len(number)
    for label, reason in zip(chain(["why"], repeat("")), step.why, strict=False):
        yield from _fact(indent, label, reason, width)
    for label, fact in _particulars(step).items():
        style = _PROBLEM if label == "drops" else ""
        yield from _fact(indent, label, fact, width, style)
    yield from _fact(indent, "lock", step.lock or "none", width)
    yield from _fact(indent, "blocks", step.blocks, width)
    if isinstance(step, Replace | Widen | Swap):
        for diff in step.diffs:
            yield Line("")
            for text in _diff_lines(diff):
                yield Line(indent + printable(text), _diff_style(text))


def _particulars(step: Step) -> Mapping[str, str]:
    """What there is to say of one kind of step only."""
    match step:
        case Swap():
            facts = {
                "builds": f"{', '.join(step.beside)}, beside what stands",
                "repoints": ", ".join(step.repointed),
                "drops": ", ".join(step.dropped),
                "cost": _cost(step.rows, step.bytes, "to compute", "of disk once more"),
            }
        case Refresh():
            facts = {"cost": _cost(step.rows, step.bytes, "to compute", "of disk once more")}
        case CreateIndex():
            facts = {"cost": f"{render.size(step.bytes)} to index" if step.bytes else ""}
        case Drop():
            facts = {"cost": f"{render.size(step.bytes)} are freed" if step.bytes else ""}
        case Widen():
            facts = {"types": ", ".join(f"{name} {type_}" for name, type_ in step.columns)}
        case Rename() | Create() | Replace() | Populate() | DropIndex() | Alter():
            facts = {}
        case other:
            assert_never(other)
    return {label: fact for label, fact in facts.items() if fact}


def _cost(rows: int | None, size: int, rows_for: str, size_for: str) -> str:
    if not size:
        return ""
    counted = "an unknown number of rows" if rows is None else render.count(rows, "row")
    return f"{counted} {rows_for}, {render.size(size)} {size_for}"


def _diff_lines(diff: Diff) -> Iterator[str]:
    return difflib.unified_diff(
        diff.before.splitlines(),
        diff.after.splitlines(),
        fromfile=f"{diff.view} as it stands",
        tofile=f"{diff.view} as configured",
        lineterm="",
    )


def _diff_style(line: str) -> str:
    return next((style for head, style in _DIFF_STYLES.items() if line.startswith(head)), "")


def _fact(indent: str, label: str, fact: str, width: int, style: str = "") -> Iterator[Line]:
    for text in _wrapped(f"{indent}{label:<10}", fact, width):
        yield Line(text, style)


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        printable(text.replace("\n", " ")),
        max(width, _LEAST),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width() -> int:
    if not sys.stdout.isatty():
        return _PIPE_WIDTH
    return min(shutil.get_terminal_size().columns, _WIDEST)
