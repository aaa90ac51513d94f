"""What a round came to, in lines for people. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.torture.history import Observations, Phase


def describe(seen: Observations) -> str:
    """Changes, reads, waits, kills."""
    return "\n".join(_lines(seen))


def _lines(seen: Observations) -> Iterator[str]:
    steps = seen.steps
    breaking = sum(step.breaking for step in steps)
    share = breaking / len(steps) if steps else 0
    yield f"{len(steps)} changes, {breaking} ({share:.0%}) drop or retype a column"
    kinds = Counter(kind for step in steps for kind in step.kinds)
    yield ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    applies = [ended for step in steps for ended in step.applies]
    whole = [ended.worked for ended in applies if not ended.killed]
    killed = [ended.worked for ended in applies if ended.killed]
    yield f"{len(applies)} applies, at work {distribution(whole)}"
    yield f"{len(killed)} killed, after {distribution(killed)} of work"
    for phase in Phase:
        reads = [read for read in seen.reads if read.phase is phase]
        errors = sum(read.error is not None for read in reads)
        waits = distribution([read.seconds for read in reads])
        yield f"{phase}: {len(reads)} reads, {errors} errors, {waits}"
    waits = distribution([write.seconds for write in seen.writes])
    yield f"{len(seen.writes)} writes of the source, {waits}"


def distribution(seconds: Sequence[float]) -> str:
    """In milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return "nothing"
    marks = {"median": 0.5, "p99": 0.99, "longest": 1.0}
    return ", ".join(f"{name} {_at(ordered, share):.0f} ms" for name, share in marks.items())


def _at(ordered: Sequence[float], share: float) -> float:
    return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)]
