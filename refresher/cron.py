"""Cron expressions as instants of a zone's clock, as Debian's cron runs them. Ground floor, pure.

`cronsim` says which readings of a clock an expression names. When that clock is put forward or
back, cron(8) has two kinds of jobs:

- at a set minute and hour: what the clock skips is due at the moment it is put forward, what it
  shows twice is due the first time only;
- with a `*` for its minute or hour (and with six fields, which Debian does not have): due whenever
  the clock shows it, so never for what it skips and twice for what it shows twice.

This is worked out here and not by cronsim, whose answers near such a moment depend on where
iteration began (2.8: `* 2 * * *` in Australia/Lord_Howe, `*/20 0 * * SUN` in America/Santiago,
any expression in reverse from within a repeated hour). Every replica has to find the same
instants, whenever it looks.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain, islice, pairwise, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from refresher import clocks

_SECOND = timedelta(seconds=1)
_FIELDS = 5

_YEARS_OF_DAYS = range(2024, 2080)
"""Where a longest gap is looked for: twice the 28 years after which the calendar repeats itself."""


class Neighbours(NamedTuple):
    """The instants around a moment: `latest` is not after it, `next` is."""

    before: datetime
    latest: datetime
    next: datetime
    following: datetime


class Timeline:
    """The instants of one expression in one zone, all of them UTC.

    It remembers its last answer, which holds until the next instant: clocks mostly move on.
    """

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        fields = expression.split()
        self._expression = expression
        self._zone = zone
        self._at_set_times = len(fields) == _FIELDS and "*" not in (fields[0][0], fields[1][0])
        self._known: Neighbours | None = None

    def around(self, at: datetime) -> Neighbours | None:
        """The instants around a moment; None if the expression names none within fifty years."""
        known = self._known
        if known is None or at >= known.following:
            self._known = known = _look(self, at)
        elif at >= known.next:
            following = next(self.after(known.following), None)
            self._known = known = None if following is None else Neighbours(*known[1:], following)
        elif at < known.latest:
            return _look(self, at)
        return known

    def after(self, at: datetime) -> Iterator[datetime]:
        """The instants after a moment, each later than the one before."""
        return self._set_times(at) if self._at_set_times else self._as_shown(at)

    def _set_times(self, at: datetime) -> Iterator[datetime]:
        # From the first time the clock showed what it shows now: that is when a set time is due.
        shown = at.astimezone(self._zone).replace(fold=0)
        since, last = shown.astimezone(UTC), at
        offset = clocks.offset(self._zone, since)
        for named in CronSim(self._expression, shown.replace(tzinfo=None)):
            instant = _as_utc(named, offset)
            while (change := clocks.first_change(self._zone, since, instant)) is not None:
                since, offset = change, clocks.offset(self._zone, change)
                instant = max(change, _as_utc(named, offset))
            if instant > last:
                last = instant
                yield instant

    def _as_shown(self, at: datetime) -> Iterator[datetime]:
        since = at.astimezone(UTC)
        shown = since.replace(tzinfo=None) + clocks.offset(self._zone, since)
        while True:
            change = None
            offset = clocks.offset(self._zone, since)
            for named in CronSim(self._expression, shown):
                instant = _as_utc(named, offset)
                change = clocks.first_change(self._zone, since, instant)
                if change is not None:
                    break
                yield instant
            if change is None:
                return
            since = change
            shown = change.replace(tzinfo=None) + clocks.offset(self._zone, change) - _SECOND

    def count(self, after: datetime, until: datetime, limit: int) -> int:
        """How many instants lie in (after, until]; counting ends at `limit`."""
        passed = takewhile(lambda instant: instant <= until, self.after(after))
        return sum(1 for _ in islice(passed, limit))

    def straddling(self, at: datetime) -> tuple[datetime, datetime] | None:
        """The newest instant not after a moment and the oldest after it."""
        shown = at.astimezone(self._zone).replace(tzinfo=None, fold=0, microsecond=0)
        for named in CronSim(self._expression, shown + _SECOND, reverse=True):
            start = named.replace(tzinfo=self._zone).astimezone(UTC) - _SECOND
            latest = None
            for instant in self.after(start):
                if instant > at:
                    if latest is not None:
                        return latest, instant
                    break
                latest = instant
        return None


@lru_cache(maxsize=16_384)
def timeline(expression: str, zone: ZoneInfo) -> Timeline | None:
    """The instants of an expression; None if it never matches any.

    cronsim refuses what can't match, `0 0 31 2 *`, as it refuses nonsense. Neither has instants;
    saying so to the user is up to whoever reads the configuration.
    """
    try:
        matched = next(CronSim(expression, datetime(2000, 1, 1)), None)  # noqa: DTZ001 - a reading
    except CronSimError:
        return None
    return None if matched is None else Timeline(expression, zone)


@lru_cache(maxsize=16_384)
def _look(line: Timeline, at: datetime) -> Neighbours | None:
    around = line.straddling(at)
    if around is None:
        return None
    latest, following = around
    previous = line.straddling(latest - _SECOND)
    after_next = next(line.after(following), None)
    if previous is None or after_next is None:
        return None
    return Neighbours(previous[0], latest, following, after_next)


@lru_cache(maxsize=4096)
def longest_gap(expression: str, zone: ZoneInfo) -> timedelta | None:
    """The longest time between two instants, leap days and changes of the clock included.

    None if the expression never matches.
    """
    line = timeline(expression, zone)
    if line is None:
        return None
    longest = _longest_gap_on_a_steady_clock(expression)
    changes = chain.from_iterable(clocks.changes(zone, year) for year in clocks.YEARS_OF_CHANGES)
    looked_until = datetime.min.replace(tzinfo=UTC)
    for change in changes:
        if change > looked_until and (gap := line.straddling(change - _SECOND)) is not None:
            longest = max(longest, gap[1] - gap[0])
            looked_until = gap[1]
    return longest


def _longest_gap_on_a_steady_clock(expression: str) -> timedelta:
    named = CronSim(expression, datetime(_YEARS_OF_DAYS.start, 1, 1))  # noqa: DTZ001 - a reading
    days = [day for day in _days() if day.month in named.months and named.match_day(day)]
    times = [
        hour * 3600 + minute * 60 + second
        for hour in sorted(named.hours)
        for minute in sorted(named.minutes)
        for second in sorted(named.seconds)
    ]
    within = max((later - sooner for sooner, later in pairwise(times)), default=0)
    between = max(later - sooner for sooner, later in pairwise(days))
    return max(timedelta(seconds=within), between - timedelta(seconds=times[-1] - times[0]))


def _days() -> Iterator[date]:
    first = date(_YEARS_OF_DAYS.start, 1, 1).toordinal()
    return map(date.fromordinal, range(first, date(_YEARS_OF_DAYS.stop, 1, 1).toordinal()))


def _as_utc(shown: datetime, offset: timedelta) -> datetime:
    return (shown - offset).replace(tzinfo=UTC)
