"""Times of the week in which a schedule may start refreshes: `only`. Ground floor, pure.

    only     window[, window]…        "mon-fri 06:00-20:00, sat 08:00-12:00"
    window   [days] HH:MM-HH:MM       every day without days
    days     mon, mon-fri, mon+wed+fri, fri-mon; sun-thu+sat

A window holds its beginning and not its end. One that ends before it begins goes on overnight and
belongs to the day it begins: `fri 22:00-06:00` is open on Saturday at 05:59. 24:00 is an end.

What counts is what the clock of the zone shows. So a time that is skipped when the clock is put
forward is not there that day, and one that is shown twice when it is put back is there twice.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from zoneinfo import ZoneInfo

from refresher import clocks

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOUR = 60
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY
_A_WEEK = timedelta(weeks=1)
_MINUTE = timedelta(minutes=1)
_JUST = timedelta(microseconds=1)
_SOME_TIME = datetime(2024, 1, 22, tzinfo=UTC)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_SKIPPED_WEEKS = 3
"""A window that the clock skips is there again a week later; no zone skips more than a day."""

_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})", re.ASCII)
_TIMES = re.compile(r"([^\s-]+)-([^\s-]+)")


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows of a week as any clock shows them."""

    text: str
    """As a user writes them."""
    spans: tuple[tuple[int, int], ...]
    """When they are open, in minutes of the week since Monday 00:00, ends excluded; in order, and
    apart from each other, except that the last one may go on as the first."""

    @property
    def shortest(self) -> timedelta:
        """How long they are open at a time, at least, while nobody changes the clock."""
        if self.spans == ((0, _WEEK),):
            return timedelta.max
        lengths = [end - begin for begin, end in self.spans]
        if self.spans[0][0] == 0 and self.spans[-1][1] == _WEEK:
            lengths[0] += lengths.pop()
        return min(lengths) * _MINUTE


def parse_hours(text: str) -> Hours:
    """Read windows of a week.

    Raises:
        ValueError: with a message that says what is wrong and what to write.
    """
    windows = [_parse_window(piece) for piece in text.split(",")]
    return Hours(
        ", ".join(written for written, _ in windows),
        tuple(_join([span for _, spans in windows for span in spans])),
    )


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


def _parse_window(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A window as it is written, and when it is open."""
    match re.sub(r"\s*-\s*", "-", text).split():
        case [times]:
            days, named = "", set(range(len(DAYS)))
        case [days, times]:
            named = _parse_days(days)
        case []:
            message = "has an empty window; write each like mon-fri 06:00-20:00"
            raise ValueError(message)
        case _:
            message = f"{text.strip()!r} is not a window; write it like mon-fri 06:00-20:00"
            raise ValueError(message)
    begin, end = _parse_times(times)
    length = (end - begin) % _DAY or _DAY
    written = f"{_time(begin)}-{_time(end)}"
    spans = [(day * _DAY + begin, day * _DAY + begin + length) for day in sorted(named)]
    return (f"{days} {written}" if days else written), spans


def _parse_days(text: str) -> set[int]:
    named = set()
    for piece in text.split("+"):
        first, dash, last = piece.partition("-")
        begin = _parse_day(first)
        end = _parse_day(last) if dash else begin
        named |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return named


def _parse_day(text: str) -> int:
    if text not in DAYS:
        message = (
            f"{text!r} is not a day; write days like mon, mon-fri or mon+wed, of {', '.join(DAYS)}"
        )
        raise ValueError(message)
    return DAYS.index(text)


def _parse_times(text: str) -> tuple[int, int]:
    """When a window begins and ends, in minutes of a day."""
    times = _TIMES.fullmatch(text)
    if times is None or ":" not in text:
        message = (
            f"{text!r} has no times; write them like mon-fri 06:00-20:00, and several days like"
            " mon+wed 06:00-20:00"
        )
        raise ValueError(message)
    begin, end = (_parse_time(time) for time in times.groups())
    if begin == _DAY:
        message = f"{text!r} begins at 24:00; write 00:00, and the day after"
        raise ValueError(message)
    if begin == end:
        message = f"{text!r} is empty; for a whole day write 00:00-24:00"
        raise ValueError(message)
    return begin, end


def _parse_time(text: str) -> int:
    found = _TIME.fullmatch(text)
    minutes = int(found[1]) * _HOUR + int(found[2]) if found else _DAY + 1
    if found is None or minutes > _DAY or int(found[2]) >= _HOUR:
        message = f"{text!r} is not a time; write it like 06:00, from 00:00 to 24:00"
        raise ValueError(message)
    return minutes


def _time(minutes: int) -> str:
    return f"{minutes // _HOUR:02}:{minutes % _HOUR:02}"


def _join(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same times, with what goes beyond Sunday put to Monday, and what touches made one."""
    folded = [(begin, min(end, _WEEK)) for begin, end in spans]
    folded += [(0, end - _WEEK) for _, end in spans if end > _WEEK]
    begin, end = -1, -1
    for first, last in sorted(folded):
        if first > end:
            if end > 0:
                yield begin, end
            begin, end = first, last
        else:
            end = max(end, last)
    yield begin, end
