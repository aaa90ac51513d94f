"""What a round showed, in a few lines."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from refresher.schedule import instants
from tests.chaos.history import Observations
from tests.chaos.takeovers import Takeover, takeovers


def describe(seen: Observations) -> str:
    """Runs, takeovers and gaps of a round."""
    return "\n".join(_lines(seen))


def _lines(seen: Observations) -> Iterator[str]:
    yield f"{len(seen.kills)} kills, {len(seen.samples)} samples"
    outcomes = Counter(f"{run.outcome or 'open'} {run.failure or ''}".strip() for run in seen.runs)
    yield "runs: " + ", ".join(f"{count} {what}" for what, count in outcomes.most_common())
    for view, subject in seen.subjects.items():
        as_of = [success.as_of for success in seen.successes if success.view == view]
        moments = [seen.began_as_of[view], *as_of]
        due = instants.count(subject.schedule, view, moments[0], moments[-1])
        gaps = [(after - before).total_seconds() for before, after in pairwise(moments)]
        yield (
            f"{view}: {due} instants = {len(as_of)} successes + {seen.misfires[view]} coalesced;"
            f" between successes {_distribution(gaps)}"
        )
    yield _takeovers(takeovers(seen))


def _takeovers(found: Sequence[Takeover]) -> str:
    took = [takeover.seconds for takeover in found if takeover.seconds]
    tried = sum(takeover.seconds == 0 for takeover in found)
    return (
        f"{len(found)} runs were killed; {tried} times another daemon was at it already,"
        f" {len(took)} times one took over, after {_distribution(took)}"
    )


def _distribution(values: Sequence[float]) -> str:
    ordered = sorted(values)
    if not ordered:
        return "nothing"
    marks = {"median": 0.5, "p90": 0.9, "p99": 0.99}
    shares = [f"{name} {_at(ordered, share):.2f} s" for name, share in marks.items()]
    return ", ".join([*shares, f"most {ordered[-1]:.2f} s"])


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
