"""Times of the week in which a schedule may start refreshes, on a zone's clock. Ground floor, pure.

What counts is what the clock of the zone shows. So a time that is skipped when the clock is put
forward is not there that day, and one that is shown twice when it is put back is there twice.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from zoneinfo import ZoneInfo

from refresher import clocks
from refresher.hours import Hours

_HOUR = 60
_DAY = 24 * _HOUR
_A_WEEK = timedelta(weeks=1)
_MINUTE = timedelta(minutes=1)
_JUST = timedelta(microseconds=1)
_SOME_TIME = datetime(2024, 1, 22, tzinfo=UTC)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_SKIPPED_WEEKS = 3
"""A window that the clock skips is there again a week later; no zone skips more than a day."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The hours of a week on the clock of a zone. Moments are aware; those returned are UTC."""

    hours: Hours
    zone: ZoneInfo

    def __str__(self) -> str:
        return self.hours.text

    def contains(self, at: datetime) -> bool:
        """Whether a moment lies in a window."""
        shown = clocks.shown(self.zone, at)
        minute = shown.weekday() * _DAY + shown.hour * _HOUR + shown.minute
        spans = self.hours.spans
        reached = bisect_right(spans, minute, key=itemgetter(0))
        return reached > 0 and minute < spans[reached - 1][1]

    def next_open(self, at: datetime) -> datetime:
        """The first moment in a window that is not before `at`."""
        if self.contains(at):
            return at.astimezone(UTC)
        opening = _next_edge(self, at)
        assert opening is not None  # noqa: S101 - no hours are without a window
        return opening

    def next_close(self, at: datetime) -> datetime | None:
        """The first moment outside all windows that is not before `at`; None if there is none."""
        return _next_edge(self, at) if self.contains(at) else at.astimezone(UTC)

    def open_since(self, at: datetime) -> datetime | None:
        """When the window that is open at `at` began; None if none is open, or it always was."""
        return _newest_edge(self, at) if self.contains(at) else None

    def closed_since(self, at: datetime) -> datetime | None:
        """When the last window before `at` was over; None if one is open at `at`."""
        return None if self.contains(at) else _newest_edge(self, at)

    def openings(self, after: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The parts of (after, until] in windows: their first and their last microsecond."""
        first = self.next_open(after + _JUST)
        while first <= until:
            close = self.next_close(first)
            yield first, until if close is None else min(until, close - _JUST)
            if close is None:
                return
            first = self.next_open(close)


@lru_cache(maxsize=1024)
def longest_closed(windows: Windows, opening: timedelta = timedelta()) -> timedelta | None:
    """The longest time without a window of at least the length of `opening`.

    Changes of the clock are included. None if there never is such a window.
    """
    changes = [at for year in clocks.YEARS_OF_CHANGES for at in clocks.changes(windows.zone, year)]
    # Between changes a week is like any other.
    found = [_longest_closed(windows, at, opening) for at in (_SOME_TIME, *changes)]
    return max((gap for gap in found if gap is not None), default=None)


def _longest_closed(windows: Windows, near: datetime, opening: timedelta) -> timedelta | None:
    begin = near - 3 * _A_WEEK
    openings = [
        (first, last + _JUST)
        for first, last in windows.openings(begin, near + 3 * _A_WEEK)
        if last + _JUST - first >= opening
    ]
    gaps = [later[0] - sooner[1] for sooner, later in pairwise(openings)]
    return max(gaps, default=timedelta() if openings else None)


def _next_edge(windows: Windows, at: datetime) -> datetime | None:
    week = _week_of(at)
    for number in range(week, week + _SKIPPED_WEEKS):
        edges = _edges(windows, number)
        reached = bisect_right(edges, at)
        if reached < len(edges):
            return edges[reached]
    return None


def _newest_edge(windows: Windows, at: datetime) -> datetime | None:
    week = _week_of(at)
    for number in range(week, week - _SKIPPED_WEEKS, -1):
        edges = _edges(windows, number)
        passed = bisect_right(edges, at)
        if passed:
            return edges[passed - 1]
    return None


def _week_of(at: datetime) -> int:
    return (at - _MONDAY) // _A_WEEK


@lru_cache(maxsize=8192)
def _edges(windows: Windows, week: int) -> tuple[datetime, ...]:
    """The moments of a week of UTC, counted from the epoch's, at which windows open or close."""
    begin = _MONDAY + week * _A_WEEK
    candidates = sorted({begin, *_possible_edges(windows, begin, begin + _A_WEEK)})
    edges = []
    was_open = windows.contains(begin - _JUST)
    for moment in candidates:
        is_open = windows.contains(moment)
        if is_open != was_open:
            edges.append(moment)
        was_open = is_open
    return tuple(edges)


def _possible_edges(windows: Windows, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Every moment at which the clock shows a window's beginning or end, or is changed."""
    since: datetime | None = begin
    while since is not None:
        until = clocks.first_change(windows.zone, since, end)
        offset = clocks.offset(windows.zone, since)
        shown = (since + offset).replace(hour=0, minute=0, second=0, microsecond=0)
        monday = shown - timedelta(days=shown.weekday()) - offset
        for span in windows.hours.spans:
            for minute in span:
                for named in (monday + minute * _MINUTE, monday + minute * _MINUTE + _A_WEEK):
                    if since <= named < (until or end):
                        yield named
        if until is not None and until < end:
            yield until
        since = until if until is not None and until < end else None
