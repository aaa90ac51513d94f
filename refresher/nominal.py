"""The nominal instants of `every` and of cron expressions, inside `only`. Ground floor, pure.

An instant outside the windows does not exist: nobody makes up for it when a window opens. Jitter
comes later, with the views (`schedule/instants.py`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from refresher import cron
from refresher.cron import Neighbours
from refresher.windows import Windows, longest_closed

_JUST = timedelta(microseconds=1)
_CLOSURES = 400
"""How many closed times are looked past for an instant: a year of days."""
_LOOKED_AT = 400
"""How many closed times are measured for the longest gap: more than a year of days."""
_BEGIN, _END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2080, 1, 1, tzinfo=UTC)


class Line(Protocol):
    """Instants in their order."""

    def around(self, at: datetime) -> Neighbours | None:
        """The instants around a moment; None if there are none."""

    def count(self, after: datetime, until: datetime, limit: int) -> int:
        """How many instants lie in (after, until]; counting ends at `limit`."""


@dataclass(frozen=True, slots=True)
class Steady:
    """An instant in every interval."""

    began: datetime
    every: timedelta

    def around(self, at: datetime) -> Neighbours:
        """The instants around a moment."""
        nominal = self.began + self._number(at) * self.every
        following = nominal + self.every
        return Neighbours(nominal - self.every, nominal, following, following + self.every)

    def count(self, after: datetime, until: datetime, limit: int) -> int:
        """How many instants lie in (after, until]; counting ends at `limit`."""
        return min(max(self._number(until) - self._number(after), 0), limit)

    def _number(self, at: datetime) -> int:
        return (at - self.began) // self.every


class Within:
    """Those instants of a line that lie in windows.

    It remembers its last answer, which holds until the next instant: clocks mostly move on.
    """

    def __init__(self, line: Line, windows: Windows) -> None:
        self._line = line
        self._windows = windows
        self._known: Neighbours | None = None

    def around(self, at: datetime) -> Neighbours | None:
        """The instants around a moment; None if there are none for a year."""
        known = self._known
        if known is None or not known.latest <= at < known.next:
            self._known = known = self._look(at)
        return known

    def count(self, after: datetime, until: datetime, limit: int) -> int:
        """How many instants lie in (after, until]; counting ends at `limit`."""
        counted = 0
        first = self.first_after(after)
        while first is not None and first <= until and counted < limit:
            close = self._windows.next_close(first)
            last = until if close is None else min(until, close - _JUST)
            counted += self._line.count(first - _JUST, last, limit - counted)
            first = self.first_after(last)
        return counted

    def _look(self, at: datetime) -> Neighbours | None:
        latest, following = self.newest(at), self.first_after(at)
        if latest is None or following is None:
            return None
        before, after_next = self.newest(latest - _JUST), self.first_after(following)
        if before is None or after_next is None:
            return None
        return Neighbours(before, latest, following, after_next)

    def newest(self, at: datetime) -> datetime | None:
        """The newest instant that is not after a moment; None if there is none for a year."""
        for _ in range(_CLOSURES):
            around = self._line.around(at)
            if around is None:
                return None
            closed = self._windows.closed_since(around.latest)
            if closed is None:
                return around.latest
            at = closed - _JUST
        return None

    def first_after(self, at: datetime) -> datetime | None:
        """The first instant after a moment; None if there is none for a year."""
        for _ in range(_CLOSURES):
            around = self._line.around(at)
            if around is None:
                return None
            opening = self._windows.next_open(around.next)
            if opening == around.next:
                return opening
            at = opening - _JUST
        return None


@lru_cache(maxsize=16_384)
def of_every(began: datetime, every: timedelta, only: Windows | None) -> Line:
    """An instant in every interval, counted from `began`."""
    line = Steady(began, every)
    return line if only is None else Within(line, only)


@lru_cache(maxsize=16_384)
def of_cron(expression: str, zone: ZoneInfo, only: Windows | None) -> Line | None:
    """The instants of an expression; None if there are none."""
    line = cron.timeline(expression, zone)
    if line is None or only is None:
        return line
    within = Within(line, only)
    return None if within.around(_BEGIN) is None else within


def longest_gap_of_every(every: timedelta, only: Windows | None) -> timedelta | None:
    """The longest time between two instants; None if they may miss all windows."""
    if only is None:
        return every
    closed = longest_closed(only, every)
    return None if closed is None else (-(-closed // every) + 1) * every


@lru_cache(maxsize=4096)
def longest_gap_of_cron(expression: str, zone: ZoneInfo, only: Windows | None) -> timedelta | None:
    """The longest time between two instants; None if there are none.

    Windows are tried on the closed times of 56 years to come, or on as many as a year of days has.
    """
    longest = cron.longest_gap(expression, zone)
    line = of_cron(expression, zone, only)
    if longest is None or only is None or not isinstance(line, Within):
        return None if line is None else longest
    instant = line.first_after(_BEGIN)
    for _ in range(_LOOKED_AT):
        close = None if instant is None else only.next_close(instant)
        if close is None or close > _END:
            break
        instant, latest = line.first_after(close), line.newest(close)
        if instant is None or latest is None:
            break
        longest = max(longest, instant - latest)
    return longest
