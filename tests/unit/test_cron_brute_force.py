"""Every daily, weekly and monthly start from 00:00 to 03:59, in ten zones, over five years.

`test_cron.py` draws from what an expression can be; here nothing is left to chance. What is due is
found by looking at the zone's clock in every minute of the five years, as cron(8) does.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from itertools import accumulate, islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from refresher import cron
from refresher.config.model import Cron
from refresher.cron import Timeline
from refresher.schedule import instants
from tests.unit.builders import DAY, MINUTE, SECOND, ZONES

_BEGIN, _END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
_WALK_BEGIN, _WALK_END = _BEGIN - 3 * DAY, _END + 3 * DAY
_FIRST_TICK, _TICKS = (_BEGIN - _WALK_BEGIN) // MINUTE, (_END - _WALK_BEGIN) // MINUTE
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a reading of a clock, in no zone
_QUARTER = 15


def midnight(day: date) -> int:
    return number(datetime(day.year, day.month, day.day))  # noqa: DTZ001 - a reading


def number(reading: datetime) -> int:
    """A reading of a clock, whole minutes, as a number."""
    return (reading - _EPOCH) // MINUTE


def reading_at(zone: ZoneInfo, tick: datetime) -> int:
    return number(tick.astimezone(zone).replace(tzinfo=None))


@lru_cache(maxsize=1)
def furthest(zone: ZoneInfo) -> "array[int]":
    """How far a zone's clock has come by every minute of the walk, however often it is put back."""
    shown = array("q")
    quarters = (_WALK_END - _WALK_BEGIN) // (_QUARTER * MINUTE)
    begins = [reading_at(zone, _WALK_BEGIN + n * _QUARTER * MINUTE) for n in range(quarters + 1)]
    for n, (first, following) in enumerate(pairwise(begins)):
        if following == first + _QUARTER:
            shown.extend(range(first, following))
        else:
            ticks = (_WALK_BEGIN + (n * _QUARTER + minute) * MINUTE for minute in range(_QUARTER))
            shown.extend(reading_at(zone, tick) for tick in ticks)
    return array("q", accumulate(shown, max))


@lru_cache(maxsize=1)
def days_of_changes(zone: ZoneInfo) -> tuple[date, ...]:
    """The days, as its clock shows them, on which a zone's clock is put forward or back."""
    days = [(_BEGIN + n * DAY).astimezone(zone) for n in range((_END - _BEGIN) // DAY)]
    return tuple(
        day.date()
        for today, tomorrow in pairwise(days)
        if today.utcoffset() != tomorrow.utcoffset()
        for day in (today, tomorrow)
    )


def due(zone: ZoneInfo, start: int, midnights: list[int]) -> list[datetime]:
    """When cron(8) runs a job of `start`, a minute of the day, on some days: once, and as soon as
    the clock has come that far."""
    reached = furthest(zone)
    ticks = [bisect_left(reached, midnight + start) for midnight in midnights]
    return [_WALK_BEGIN + tick * MINUTE for tick in ticks if _FIRST_TICK <= tick < _TICKS]


def schedules(zone: ZoneInfo) -> dict[str, list[int]]:
    """The daily schedule, and the weekly and monthly ones that ever meet a change of the clock,
    each with the midnights of its days."""
    walk = range(_WALK_BEGIN.toordinal() + 1, _WALK_END.toordinal() - 1)
    days = [date.fromordinal(day) for day in walk]
    changes = days_of_changes(zone) or (date(2024, 3, 31), date(2024, 2, 29))
    chosen = {"* * *": days}
    for weekday in sorted({day.isoweekday() % 7 for day in changes}):
        chosen[f"* * {weekday}"] = [day for day in days if day.isoweekday() % 7 == weekday]
    for of_month in sorted({day.day for day in changes}):
        chosen[f"{of_month} * *"] = [day for day in days if day.day == of_month]
    return {name: [midnight(day) for day in days] for name, days in chosen.items()}


@cache
def readings(expression: str) -> list[datetime]:
    """The readings of any clock that cronsim finds an expression to name in these years."""
    begin, end = _WALK_BEGIN.replace(tzinfo=None), _WALK_END.replace(tzinfo=None)
    return list(takewhile(lambda reading: reading < end, CronSim(expression, begin)))


def remembered(expression: str, begin: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """cronsim's answers, worked out once for all zones: they do not depend on one."""
    known = readings(expression)
    if reverse:
        return reversed(known[: bisect_left(known, begin)])
    return islice(known, bisect_right(known, begin), None)


@pytest.mark.parametrize("hour", range(4))
@pytest.mark.parametrize("zone", ZONES)
def test_every_start_of_the_night_is_due_as_cron_has_it(
    zone: str, hour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cron, "CronSim", remembered)
    clock = ZoneInfo(zone)
    for days, midnights in schedules(clock).items():
        for minute in range(60):
            expected = due(clock, 60 * hour + minute, midnights)
            line = Timeline(f"{minute} {hour} {days}", clock)
            named = takewhile(_END.__gt__, line.after(_BEGIN - SECOND))
            assert list(named) == expected, f"{minute} {hour} {days}"


@pytest.mark.parametrize("zone", ZONES)
def test_around_a_change_the_scheduler_is_told_the_same(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cron, "CronSim", remembered)
    clock = ZoneInfo(zone)
    for change in days_of_changes(clock)[::2]:
        midnights = [midnight(change + n * DAY) for n in range(-1, 4)]
        for start in range(240):
            expected = due(clock, start, midnights)
            schedule = Cron(cron=f"{start % 60} {start // 60} * * *", timezone=clock)
            for newest, following in pairwise(expected):
                assert instants.next_after(schedule, "v", newest) == following
                just_before = following - timedelta.resolution
                assert instants.latest(schedule, "v", just_before) == newest
