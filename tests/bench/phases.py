"""Times in which applications wrote, with refresher or without, and what they felt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.writing import Written

WITHOUT = "without"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One of these times."""

    name: str
    began: float
    ended: float
    """By the monotonic clock."""
    rows: int = 0
    """Written by refresher."""
    working: float = 0.0
    """Seconds for which its runs lasted."""


def table(phases: Sequence[Phase], written: Written) -> str:
    """Each phase, beside the ones before and after it, which were without refresher; and all of a
    name together, beside all that were without."""
    head = ("", "seconds", "p50", "p99", "of without", "longest", "rows/s", "at work")
    lines = ["{:<28}{:>8}{:>11}{:>11}{:>12}{:>11}{:>9}{:>9}".format(*head)]
    for number, phase in enumerate(phases):
        around = [
            other for other in phases[max(0, number - 1) : number + 2] if other.name == WITHOUT
        ]
        lines.append(_line(phase.name, [phase], around, written))
    lines.append("all together")
    without = [phase for phase in phases if phase.name == WITHOUT]
    for name in dict.fromkeys(phase.name for phase in phases):
        own = [phase for phase in phases if phase.name == name]
        lines.append(_line(f"  {name}", own, without, written))
    return "\n".join(lines)


def _line(name: str, own: Sequence[Phase], without: Sequence[Phase], written: Written) -> str:
    return f"{name:<28}{''.join(_cells(own, without, written))}".rstrip()


def _cells(own: Sequence[Phase], without: Sequence[Phase], written: Written) -> Iterator[str]:
    waits = written.waits([(phase.began, phase.ended) for phase in own])
    beside = written.waits([(phase.began, phase.ended) for phase in without])
    seconds = sum(phase.ended - phase.began for phase in own)
    working = sum(phase.working for phase in own)
    yield f"{seconds:>8.1f}{waits.p50 * 1000:>8.1f} ms{waits.p99 * 1000:>8.1f} ms"
    yield f"{waits.p99 / beside.p99:>11.2f}x" if working else f"{'':>12}"
    yield f"{waits.longest * 1000:>8.1f} ms"
    if working:
        yield f"{sum(phase.rows for phase in own) / working:>9,.0f}{working / seconds:>9.0%}"
