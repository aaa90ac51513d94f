"""The due instants of a schedule: the same on every replica, from the configuration alone. Pure.

An instant is *nominal* plus jitter. `every` has its nominal instants at the epoch plus a phase
plus whole multiples; cron where `refresher.cron` says. Jitter is derived from the view's name and
the nominal instant, and never reaches the next nominal one, so that instants keep their order.

`after: upstream`, `target_lag` and `manual` have no instants of their own. Times are aware, and UTC
on the way out. A cron expression that never matches has no instants either.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, dropwhile, islice, pairwise, takewhile
from typing import assert_never

from refresher.config.model import AfterUpstream, Cron, Every, Manual, Schedule, TargetLag
from refresher.cron import Neighbours, timeline
from refresher.names import stable_number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NONE = timedelta()
_MICROSECOND = timedelta(microseconds=1)


def latest(schedule: Schedule, view: str, now: datetime) -> datetime | None:
    """The newest due instant that is not after `now`."""
    around = _around(schedule, view, now)
    if around is None:
        return None
    instant = _due(schedule, view, around.latest, around.next)
    return instant if instant <= now else _due(schedule, view, around.before, around.latest)


def next_after(schedule: Schedule, view: str, after: datetime) -> datetime | None:
    """The first due instant later than `after`."""
    around = _around(schedule, view, after)
    if around is None:
        return None
    instant = _due(schedule, view, around.latest, around.next)
    return instant if instant > after else _due(schedule, view, around.next, around.following)


def count(
    schedule: Schedule, view: str, after: datetime, until: datetime, limit: int = 10_000
) -> int:
    """How many due instants lie in (after, until]; counting ends at `limit`."""
    match schedule:
        case Every():
            passed = _number(schedule, view, until) - _number(schedule, view, after)
            return min(max(passed, 0), limit)
        case Cron():
            return _count_cron(schedule, view, after, until, limit)
        case AfterUpstream() | TargetLag() | Manual():
            return 0
        case other:
            assert_never(other)


def jitter_of(view: str, instant: datetime, room: timedelta) -> timedelta:
    """A delay from 0 up to, but not including, `room`, derived from view and instant."""
    if room <= _NONE:
        return _NONE
    microseconds = (instant - _EPOCH) // _MICROSECOND
    return stable_number(view, str(microseconds)) % (room // _MICROSECOND) * _MICROSECOND


def _due(schedule: Schedule, view: str, nominal: datetime, following: datetime) -> datetime:
    if isinstance(schedule, Manual) or not schedule.jitter:
        return nominal
    return nominal + jitter_of(view, nominal, min(schedule.jitter, following - nominal))


def _around(schedule: Schedule, view: str, at: datetime) -> Neighbours | None:
    """The nominal instants around a moment."""
    match schedule:
        case Every(every=every):
            began = _EPOCH + _phase(view, every)
            nominal = began + (at - began) // every * every
            return Neighbours(nominal - every, nominal, nominal + every, nominal + 2 * every)
        case Cron(cron=expression, timezone=zone):
            line = timeline(expression, zone)
            return None if line is None else line.around(at)
        case AfterUpstream() | TargetLag() | Manual():
            return None
        case other:
            assert_never(other)


@lru_cache(maxsize=65_536)
def _phase(view: str, every: timedelta) -> timedelta:
    return stable_number(view) % (every // _MICROSECOND) * _MICROSECOND


def _number(schedule: Every, view: str, at: datetime) -> int:
    """Which instant since the epoch is the newest one at a moment."""
    began = _EPOCH + _phase(view, schedule.every)
    number = (at - began) // schedule.every
    nominal = began + number * schedule.every
    return number if _due(schedule, view, nominal, nominal + schedule.every) <= at else number - 1


def _count_cron(schedule: Cron, view: str, after: datetime, until: datetime, limit: int) -> int:
    line = timeline(schedule.cron, schedule.timezone)
    if line is None or (around := line.around(after)) is None:
        return 0
    nominal = chain((around.latest,), line.after(around.latest))
    instants = (_due(schedule, view, *pair) for pair in pairwise(nominal))
    later = dropwhile(lambda instant: instant <= after, instants)
    passed = takewhile(lambda instant: instant <= until, later)
    return sum(1 for _ in islice(passed, limit))
