"""What a zone's clock shows, and when it is put forward or back. Ground floor, pure.

All moments are aware; those that come out are UTC. A clock is changed at a whole second.
"""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

YEARS_OF_CHANGES = range(2024, 2052)
"""Where the longest of something is looked for: until 2100 the calendar repeats itself every
28 years, and with it the rules by which clocks are changed."""

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_DAY_SECONDS = 86_400


def shown(zone: ZoneInfo, at: datetime) -> datetime:
    """What the clock of a zone shows at a moment, without the zone."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def offset(zone: ZoneInfo, at: datetime) -> timedelta:
    """How far the clock of a zone is ahead of UTC at a moment of UTC."""
    return at.astimezone(zone).replace(tzinfo=None) - at.replace(tzinfo=None)


def first_change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The first moment in (after, until] at which a zone's clock is put forward or back."""
    for year in range(after.year, until.year + 1):
        for change in changes(zone, year):
            if after < change <= until:
                return change
    return None


@lru_cache(maxsize=4096)
def changes(zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The moments of a year (of UTC) at which the zone's clock is put forward or back."""
    found = []
    day = datetime(year, 1, 1, tzinfo=UTC)
    before = offset(zone, day)
    while day.year == year:
        tomorrow = day + _DAY
        if offset(zone, tomorrow) != before:
            found.append(_moment_of_change(zone, day, before))
            before = offset(zone, tomorrow)
        day = tomorrow
    return tuple(found)


def _moment_of_change(zone: ZoneInfo, day: datetime, before: timedelta) -> datetime:
    def changed(second: int) -> bool:
        return offset(zone, day + second * _SECOND) != before

    return day + bisect_left(range(_DAY_SECONDS), x=True, key=changed) * _SECOND
