"""`make faults`: every kind of fault, and one judgement.

    python -m tests.faults                            all kinds, as often as they are to be
    python -m tests.faults --share ci                 the share that runs before every change lands
    python -m tests.faults --only kill,partition      these
    python -m tests.faults --only kill --seed 7       the same again

It ends with 1 if a promise was broken, and with 2 if something is missing that a kind needs.
"""

# ruff: noqa: T201 - it reports on the terminal

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from tests.faults.checker import violations
from tests.faults.folders import folder
from tests.faults.history import Chapter
from tests.faults.kind import Kind, Solo
from tests.faults.play import play
from tests.faults.registry import KINDS
from tests.faults.report import Row, describe, rows, table

_SHOWN = 20
"""How many violations of a stage are printed."""


def main(arguments: Sequence[str], kinds: Sequence[Kind[Any] | Solo] = KINDS) -> int:
    """Return what the shell is to see."""
    options = _parser(kinds).parse_args(arguments)
    chosen = [
        kind
        for kind in kinds
        if (not options.only or kind.name in options.only) and _times(kind, options)
    ]
    missing = [
        f"{kind.name}: {problem}"
        for kind in chosen
        for need in kind.needs
        if (problem := need.missing()) is not None
    ]
    if missing:
        print("Missing:\n" + "\n".join(missing), file=sys.stderr)
        return 2
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    report = [row for group in groups(chosen) for row in _play(group, options)]
    print(f"\n{table(report)}\nseed {options.seed}, {time.monotonic() - began:.0f} s in all")
    # Once more: of a long output the end is what is read, or all that is kept.
    _show_violations([told for row in report for told in row.told])
    return 1 if any(row.violations for row in report) else 0


def groups(chosen: Sequence[Kind[Any] | Solo]) -> Iterator[list[Kind[Any] | Solo]]:
    """Kinds that share a stage, and each of those that need none."""

    def place(kind: Kind[Any] | Solo) -> object:
        return kind.place if isinstance(kind, Kind) else kind

    for _, group in groupby(chosen, key=place):
        yield list(group)


def _play(group: Sequence[Kind[Any] | Solo], options: argparse.Namespace) -> list[Row]:
    names = ", ".join(kind.name for kind in group)
    print(f"\n{names}", flush=True)
    solo = group[0]
    if isinstance(solo, Solo):
        return [_play_alone(solo, options)]
    kinds = [kind for kind in group if isinstance(kind, Kind)]
    with folder() as at:
        seen = play(
            [(kind, _times(kind, options)) for kind in kinds],
            kinds[0].place(at),
            at / "stage",
            options.seed,
            _tell,
        )
    found = violations(seen)
    _show_violations(list(map(str, found)))
    shown = list(rows(seen, found))
    print(f"{describe(seen)}\n{table(shown)}", flush=True)
    return shown


def _show_violations(found: Sequence[str]) -> None:
    for violation in found[:_SHOWN]:
        print(f"VIOLATION {violation}")
    if len(found) > _SHOWN:
        print(f"… and {len(found) - _SHOWN} more")


def _tell(chapter: Chapter) -> None:
    took = (chapter.ended_at - chapter.began_at).total_seconds()
    print(f"  {chapter.kind}: {chapter.times:,} times, {took:.0f} s", flush=True)


def _play_alone(kind: Solo, options: argparse.Namespace) -> Row:
    began = time.monotonic()
    findings = kind.run(_times(kind, options), random.Random(options.seed))  # noqa: S311 - faults to be repeated
    _show_violations(findings.violations)
    row = Row(
        kind=kind.name,
        times=findings.times,
        seconds=time.monotonic() - began,
        violations=len(findings.violations),
        told=list(findings.violations),
        measured=[findings.note] if findings.note else [],
    )
    print(table([row]), flush=True)
    return row


def _times(kind: Kind[Any] | Solo, options: argparse.Namespace) -> int:
    if options.times is not None:
        return int(options.times)
    return kind.ci if options.share == "ci" else kind.full


def _parser(kinds: Sequence[Kind[Any] | Solo]) -> argparse.ArgumentParser:
    names = [kind.name for kind in kinds]

    def only(text: str) -> set[str]:
        wanted = set(text.split(","))
        if unknown := sorted(wanted - set(names)):
            message = f"unknown: {', '.join(unknown)}; there are {', '.join(names)}"
            raise argparse.ArgumentTypeError(message)
        return wanted

    listed = "\n".join(
        f"  {kind.name:<18} {kind.ci:>4} {kind.full:>5}  {kind.shows}" for kind in kinds
    )
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=f"Faults, and how often: in CI, in full\n\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", type=only, metavar="NAME,NAME", help="these kinds of faults")
    parser.add_argument("--share", choices=("ci", "full"), default="full", help="how often")
    parser.add_argument("--times", type=int, help="each of them so often instead")
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(2**32),
        help="what all chance comes from; moments are the machine's all the same",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
