"""Times in which applications wrote, with refresher or without, and what they felt."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.waits import Waits
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
    name together, with the middle one of their ratios."""
    head = ("", "seconds", "p50", "p99", "of without", "longest", "rows/s", "at work")
    lines = ["{:<28}{:>8}{:>11}{:>11}{:>12}{:>11}{:>9}{:>9}".format(*head)]
    ratios: dict[str, list[float]] = defaultdict(list)
    for number, phase in enumerate(phases):
        if phase.working:
            around = [phases[number - 1], phases[number + 1]]
            ratios[phase.name].append(_waits([phase], written).p99 / _waits(around, written).p99)
        lines.append(_line(phase.name, [phase], ratios[phase.name][-1:], written))
    lines.append("all together")
    for name, found in ratios.items():
        own = [phase for phase in phases if phase.name == name]
        lines.append(_line(f"  {name}", own, found, written))
    return "\n".join(lines)


def _line(name: str, phases: Sequence[Phase], ratios: Sequence[float], written: Written) -> str:
    waits = _waits(phases, written)
    seconds = sum(phase.ended - phase.began for phase in phases)
    working = sum(phase.working for phase in phases)
    rate = sum(phase.rows for phase in phases) / working if working else None
    cells = [
        f"{name:<28}{seconds:>8.1f}{waits.p50 * 1000:>8.1f} ms{waits.p99 * 1000:>8.1f} ms",
        f"{statistics.median(ratios):>11.2f}x" if ratios else f"{'':>12}",
        f"{waits.longest * 1000:>8.1f} ms",
        "" if rate is None else f"{rate:>9,.0f}{working / seconds:>9.0%}",
    ]
    return "".join(cells)


def _waits(phases: Sequence[Phase], written: Written) -> Waits:
    return written.waits([(phase.began, phase.ended) for phase in phases])
