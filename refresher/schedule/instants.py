"""The due instants of a schedule: the same on every replica, from the configuration alone. Pure.

An instant is *nominal* plus jitter. `every` has its nominal instants at the epoch plus a phase
plus whole multiples; cron where `refresher.cron` says; `only` keeps those in its windows
(`refresher.nominal`). Jitter is derived from the view's name and the nominal instant, and reaches
neither the next nominal one, so that instants keep their order, nor the end of a window.

`after: upstream`, `target_lag` and `manual` have no instants of their own. Times are aware, and UTC
on the way out. A cron expression that never matches has no instants either.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import assert_never

from refresher import nominal
from refresher.config.model import AfterUpstream, Cron, Every, Manual, Schedule, TargetLag
from refresher.cron import Neighbours
from refresher.names import stable_number
from refresher.nominal import Line

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
    line = _line(schedule, view)
    first, last = (_newest_nominal(schedule, view, at) for at in (after, until))
    return 0 if line is None or first is None or last is None else line.count(first, last, limit)


def jitter_of(view: str, instant: datetime, room: timedelta) -> timedelta:
    """A delay from 0 up to, but not including, `room`, derived from view and instant."""
    if room <= _NONE:
        return _NONE
    microseconds = (instant - _EPOCH) // _MICROSECOND
    return stable_number(view, str(microseconds)) % (room // _MICROSECOND) * _MICROSECOND


def _due(schedule: Schedule, view: str, named: datetime, following: datetime) -> datetime:
    if isinstance(schedule, Manual) or not schedule.jitter:
        return named
    room = min(schedule.jitter, following - named)
    if schedule.only is not None and (close := schedule.only.next_close(named)) is not None:
        room = min(room, close - named)
    return named + jitter_of(view, named, room)


def _around(schedule: Schedule, view: str, at: datetime) -> Neighbours | None:
    """The nominal instants around a moment."""
    line = _line(schedule, view)
    return None if line is None else line.around(at)


def _newest_nominal(schedule: Schedule, view: str, at: datetime) -> datetime | None:
    """What the newest due instant that is not after a moment is without its jitter."""
    around = _around(schedule, view, at)
    if around is None:
        return None
    passed = _due(schedule, view, around.latest, around.next) <= at
    return around.latest if passed else around.before


def _line(schedule: Schedule, view: str) -> Line | None:
    match schedule:
        case Every(every=every, only=only):
            return nominal.of_every(_EPOCH + _phase(view, every), every, only)
        case Cron(cron=expression, timezone=zone, only=only):
            return nominal.of_cron(expression, zone, only)
        case AfterUpstream() | TargetLag() | Manual():
            return None
        case other:
            assert_never(other)


@lru_cache(maxsize=65_536)
def _phase(view: str, every: timedelta) -> timedelta:
    return stable_number(view) % (every // _MICROSECOND) * _MICROSECOND
