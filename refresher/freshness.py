"""What fresh means. Pure; the view `refresher.freshness` subtracts and compares the same way.

    data_as_of   of a refreshed view: min(own as_of, data_as_of of its nearest refreshed upstreams
                 as the refresh's snapshot had them), unknown if one of them was; fixed until the
                 next refresh
                 of a plain view: the minimum over its nearest refreshed upstreams now, unknown if
                 one of them is; without any, now: it reads base tables, always up to date
    staleness    now - data_as_of, never negative
    state        unknown without a data_as_of; stale over max staleness; late over target lag;
                 fresh otherwise, and exactly at a limit

The limits (`effective_max_staleness`) are worked out here and stored; SQL never derives them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from refresher import cron
from refresher.config.model import (
    AfterUpstream,
    Cron,
    Default,
    Every,
    Manual,
    Schedule,
    TargetLag,
    View,
)
from refresher.graph import Graph

SLACK = timedelta(minutes=10)
"""What a derived limit grants a refresh to queue, run and be retried in."""


class State(StrEnum):
    """How fresh a view is."""

    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"
    UNKNOWN = "unknown"


def data_as_of(as_of: datetime | None, upstreams: Iterable[datetime | None]) -> datetime | None:
    """Everything committed before it is in a refreshed view's contents, down to the base tables.

    Args:
        as_of: its own, None if it was never populated.
        upstreams: the data_as_of of its nearest refreshed upstreams, as its refresh read them.
    """
    return _oldest((as_of, *upstreams))


def plain_data_as_of(upstreams: Iterable[datetime | None], now: datetime) -> datetime | None:
    """The data_as_of of a plain view, from that of its nearest refreshed upstreams now."""
    return _oldest(upstreams, default=now)


def staleness(data_as_of: datetime | None, now: datetime) -> timedelta | None:
    """How far contents are behind the base tables; None if that is unknown."""
    return None if data_as_of is None else max(now - data_as_of, timedelta())


def state(
    staleness: timedelta | None, target_lag: timedelta | None, max_staleness: timedelta | None
) -> State:
    """Judge a staleness; a limit of None is never exceeded."""
    if staleness is None:
        return State.UNKNOWN
    if max_staleness is not None and staleness > max_staleness:
        return State.STALE
    if target_lag is not None and staleness > target_lag:
        return State.LATE
    return State.FRESH


def longest_gap(schedule: Schedule) -> timedelta | None:
    """The longest time a schedule leaves between two due instants; None if it has no bound.

    `after: upstream` adds no time of its own to its upstreams' gaps.
    """
    match schedule:
        case Every(every=every, jitter=jitter):
            return every + jitter
        case Cron(cron=expression, timezone=zone, jitter=jitter):
            gap = cron.longest_gap(expression, zone)
            return None if gap is None else gap + jitter
        case TargetLag(target=target):
            return target
        case AfterUpstream(jitter=jitter):
            return jitter
        case Manual():
            return None
        case other:
            assert_never(other)


def effective_max_staleness(views: Mapping[str, View], graph: Graph) -> dict[str, timedelta | None]:
    """Every view's limit, by name; None means that it has none.

    A configured limit stands. One to be derived is twice the target lag + 10 m where there is one,
    since that goes back to the base tables; else, for a refreshed view, the larger of

    - twice the longest gap of its schedule + 10 m (for `after: upstream` this is nothing), and
    - for each nearest refreshed upstream: that one's limit + the longest gap + 10 m, since what it
      reads may be that old already and is read once a gap;

    and for a plain view the largest limit of its nearest refreshed upstreams. Where no bound can
    be derived (a manual schedule, an upstream without a limit, nothing refreshed above) it is None.

    Raises:
        PlanError: if views read each other.
    """
    limits: dict[str, timedelta | None] = {}
    for name in graph.order(views):
        view = views[name]
        if view.max_staleness is Default.DERIVED:
            upstreams = [limits[upstream] for upstream in graph.refreshed_upstreams(name)]
            limits[name] = _derived_limit(view, upstreams)
        else:
            limits[name] = view.max_staleness
    return limits


def _derived_limit(view: View, upstreams: Sequence[timedelta | None]) -> timedelta | None:
    if isinstance(view.schedule, TargetLag):
        return 2 * view.schedule.target + SLACK
    limits = [limit for limit in upstreams if limit is not None]
    if len(limits) < len(upstreams):
        return None
    if not view.refreshed:
        return max(limits, default=None)
    gap = longest_gap(view.schedule)
    if gap is None:
        return None
    own = () if isinstance(view.schedule, AfterUpstream) else (2 * gap + SLACK,)
    return max((*own, *(limit + gap + SLACK for limit in limits)), default=None)


def _oldest(moments: Iterable[datetime | None], default: datetime | None = None) -> datetime | None:
    known = []
    for moment in moments:
        if moment is None:
            return None
        known.append(moment)
    return min(known, default=default)
