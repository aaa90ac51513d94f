"""The oracle of honest staleness: what refresher says of a view against what the view shows. Pure.

The truth is how long the oldest commit that does not show has been missing: the statement's time
less that commit's. A commit happens somewhere between its stamp and the answer to it, so the truth
lies between two bounds; reported staleness breaks its promise only where it is below both, which is
beyond doubt. All times are of the server's clock, read before the statement's snapshot was taken:
what is in a snapshot but came later makes the truth smaller, never larger.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tests.faults.history import Commit, Observations, Reading

TOLERANCE = timedelta(milliseconds=100)
"""How far reported staleness may be under the truth."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One reading, judged."""

    reading: Reading
    at_least: timedelta
    """The staleness that is proved; none where nothing is missing."""
    at_most: timedelta
    """The staleness that is possible."""

    @property
    def understated(self) -> timedelta:
        """How far the reported staleness is under the truth, for certain; negative above it."""
        reported = self.reading.staleness
        return timedelta() if reported is None else self.at_least - reported

    @property
    def overstated(self) -> timedelta:
        """How far it is above the truth, for certain; negative below it."""
        reported = self.reading.staleness
        return timedelta() if reported is None else reported - self.at_most

    @property
    def honest(self) -> bool:
        """Whether the promise is kept; nothing is promised by an unknown staleness."""
        return self.understated <= TOLERANCE


def verdicts(seen: Observations) -> Iterator[Verdict]:
    """Judge every reading."""
    for reading in seen.readings:
        yield judge(reading, seen.commits[reading.source])


def judge(reading: Reading, commits: Sequence[Commit]) -> Verdict:
    """Judge one reading by the commits of its source, which are in order."""
    missing = _first_missing(reading, commits)
    if missing is None:
        return Verdict(reading, timedelta(), timedelta())
    return Verdict(
        reading,
        at_least=max(reading.at - missing.known_at, timedelta()),
        at_most=max(reading.at - missing.stamped_at, timedelta()),
    )


def _first_missing(reading: Reading, commits: Sequence[Commit]) -> Commit | None:
    """The oldest commit whose stamp is later than the oldest one that shows."""
    if reading.stamped_at is None:
        return commits[0] if commits else None
    shown = bisect_right(commits, reading.stamped_at, key=lambda commit: commit.stamped_at)
    return commits[shown] if shown < len(commits) else None
