"""What faults did, as a table and some lines."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.faults.checker import Violation
from tests.faults.history import Chapter, Observations
from tests.faults.staleness import verdicts
from tests.faults.takeovers import takeovers

_HEAD = ("fault", "times", "seconds", "successes", "reads", "violations", "measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind's line."""

    kind: str
    times: int
    seconds: float
    successes: int | None = None
    reads: int | None = None
    violations: int = 0
    told: list[str] = field(default_factory=list)
    """The violations, in words."""
    measured: list[str] = field(default_factory=list)

    def cells(self) -> tuple[str, ...]:
        return (
            self.kind,
            f"{self.times:,}",
            f"{self.seconds:.0f}",
            "" if self.successes is None else f"{self.successes:,}",
            "" if self.reads is None else f"{self.reads:,}",
            str(self.violations),
            "; ".join(self.measured),
        )


def table(rows: Sequence[Row]) -> str:
    """The rows under a head, numbers to the right."""
    lines = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    left = {0, len(_HEAD) - 1}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def rows(seen: Observations, found: Sequence[Violation]) -> Iterator[Row]:
    """One row a kind that was played on this stage; what belongs to none is the last one's."""
    for number, chapter in enumerate(seen.chapters):
        last = number == len(seen.chapters) - 1
        own = [violation for violation in found if _belongs(violation, chapter, seen, last=last)]
        yield Row(
            kind=chapter.kind,
            times=sum(injection.kind == chapter.kind for injection in seen.injections),
            seconds=(chapter.ended_at - chapter.began_at).total_seconds(),
            successes=sum(_within(success.as_of, chapter) for success in seen.successes),
            reads=sum(_within(reading.at, chapter) for reading in seen.readings),
            violations=len(own),
            told=list(map(str, own)),
            measured=list(_measured(seen, chapter)),
        )


def describe(seen: Observations) -> str:
    """How the runs ended, and how near to the truth reported staleness was."""
    outcomes = Counter(f"{run.outcome or 'open'} {run.failure or ''}".strip() for run in seen.runs)
    judged = list(verdicts(seen))
    told = [verdict for verdict in judged if verdict.reading.staleness is not None]
    under = max((verdict.understated.total_seconds() for verdict in told), default=0.0)
    over = [verdict.overstated.total_seconds() for verdict in told]
    ended = ", ".join(f"{count} {what}" for what, count in outcomes.most_common())
    return (
        f"runs: {ended}\n"
        f"staleness: {len(told):,} readings, {len(judged) - len(told):,} unknown; at most"
        f" {max(under, 0.0) * 1000:.0f} ms under the truth, over it {distribution(over)}\n"
        f"contents: {len(seen.samples):,} samples"
    )


def distribution(values: Sequence[float]) -> str:
    """The middle and the most of some seconds."""
    ordered = sorted(values)
    if not ordered:
        return "never"
    return f"p50 {ordered[len(ordered) // 2]:.2f} s, max {ordered[-1]:.2f} s"


def _measured(seen: Observations, chapter: Chapter) -> Iterator[str]:
    found = [each for each in takeovers(seen) if _within(each.killed_at, chapter)]
    if found:
        took = [each.seconds for each in found if each.seconds]
        yield f"{len(found)} runs lost; takeover {distribution(took)}"
    exits = [each.seconds for each in seen.exits if _within(each.at, chapter)]
    if exits:
        yield f"exit {distribution(exits)}"
    for what in dict.fromkeys(m.what for m in seen.measurements if m.kind == chapter.kind):
        values = [
            measured.seconds
            for measured in seen.measurements
            if (measured.kind, measured.what) == (chapter.kind, what)
            and measured.seconds is not None
        ]
        yield f"{what} {distribution(values)}"


def _within(at: datetime, chapter: Chapter) -> bool:
    return chapter.began_at <= at <= chapter.ended_at


def _belongs(violation: Violation, chapter: Chapter, seen: Observations, *, last: bool) -> bool:
    if violation.at is not None and _within(violation.at, chapter):
        return True
    nobodys = violation.at is None or not any(_within(violation.at, each) for each in seen.chapters)
    return last and nobodys
