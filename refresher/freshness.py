"""What fresh means. Pure; `refresher.contents` and `refresher.freshness` say the same in SQL.

    as_of       counts if it is of this server's lineage and not in the future; unknown otherwise
    data_as_of  of a refreshed view: min(own as_of, data_as_of of its nearest refreshed upstreams
                as the refresh's snapshot had them), unknown if one of them was; fixed until the
                next refresh
                of a plain view: the minimum over its nearest refreshed upstreams now, unknown if
                one of them is; without any, now: it reads base tables, always up to date
    staleness   now - data_as_of, never negative
    state       unknown without a data_as_of; stale over max staleness; late over target lag;
                fresh otherwise, and exactly at a limit

The limits (`effective_max_staleness`) are worked out here and stored; SQL never derives them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from refresher import nominal
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
from refresher.windows import Windows, longest_closed

SLACK = timedelta(minutes=10)
"""What a derived limit grants a refresh to queue, run and be retried in."""


LONGEST_PATH = 64
"""How many names a path down to the oldest contents has at most; its last one is never left out."""

AHEAD = timedelta(milliseconds=100)
"""By how much an as_of may be ahead of the clock before it is taken for one of another clock."""


class Distrust(StrEnum):
    """Why what is recorded of contents does not tell how old they are."""

    LINEAGE = "lineage"
    """It was recorded on another server: before a restore or a failover."""
    CLOCK = "clock"
    """Its as_of is in the future: the clock was put back."""


@dataclass(frozen=True, slots=True)
class Age:
    """How old contents are, and which ones make them so old."""

    data_as_of: datetime | None
    """Everything committed before it shows, down to the base tables; None if that is unknown."""
    oldest: tuple[str, ...]
    """The views from this one down to the one whose as_of that is, or is unknown."""


class State(StrEnum):
    """How fresh a view is."""

    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"
    UNKNOWN = "unknown"


def distrust(
    lineage: str | None, as_of: datetime, *, here: str | None, now: datetime
) -> Distrust | None:
    """Judge what is recorded of contents; None if it counts.

    Args:
        lineage: of the server it was recorded on: system identifier/timeline. None if the platform
            would not tell.
        as_of: what is recorded.
        here: the lineage of this server; of a standby the system identifier and the slash.
        now: the database's clock.
    """
    same = lineage is None if here is None else lineage is not None and lineage.startswith(here)
    if not same:
        return Distrust.LINEAGE
    return Distrust.CLOCK if as_of > now + AHEAD else None


def refreshed(
    view: str, as_of: datetime, upstreams: Mapping[str, Age], *, unmanaged: bool = False
) -> Age:
    """The age of contents that are computed as of a moment.

    Args:
        view: its name.
        as_of: when its refresh began.
        upstreams: the ages of its nearest refreshed upstreams, as its refresh reads them.
        unmanaged: whether it reads a materialized view, too, that nobody here refreshes.
    """
    if unmanaged:
        return Age(None, (view,))
    oldest = _oldest(upstreams)
    if oldest is None or (oldest.data_as_of is not None and oldest.data_as_of >= as_of):
        return Age(as_of, (view,))
    return _below(view, oldest)


def plain(
    view: str, now: datetime, upstreams: Mapping[str, Age], *, unmanaged: bool = False
) -> Age:
    """The age of what a plain view shows, from that of its nearest refreshed upstreams now."""
    if unmanaged:
        return Age(None, (view,))
    oldest = _oldest(upstreams)
    return Age(now, (view,)) if oldest is None else _below(view, oldest)


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

    Times outside `only` are in it, and all that `after: upstream` adds to its upstreams' gaps.
    """
    match schedule:
        case Every(every=every, jitter=jitter, only=only):
            gap = nominal.longest_gap_of_every(every, only)
            return None if gap is None else gap + jitter
        case Cron(cron=expression, timezone=zone, jitter=jitter, only=only):
            gap = nominal.longest_gap_of_cron(expression, zone, only)
            return None if gap is None else gap + jitter
        case TargetLag(target=target, only=only):
            return target + _longest_closed(only)
        case AfterUpstream(jitter=jitter, only=only):
            return jitter + _longest_closed(only)
        case Manual():
            return None
        case other:
            assert_never(other)


def _longest_closed(only: Windows | None) -> timedelta:
    return (None if only is None else longest_closed(only)) or timedelta()


def effective_max_staleness(views: Mapping[str, View], graph: Graph) -> dict[str, timedelta | None]:
    """Every view's limit, by name; None means that it has none.

    A configured limit stands. One to be derived is twice the target lag + 10 m where there is one,
    since that goes back to the base tables; else, for a refreshed view, the larger of

    - twice the longest gap of its schedule + 10 m (for `after: upstream` this is nothing); time
      outside `only` counts once, and
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
        return 2 * view.schedule.target + _longest_closed(view.schedule.only) + SLACK
    limits = [limit for limit in upstreams if limit is not None]
    if len(limits) < len(upstreams):
        return None
    if not view.refreshed:
        return max(limits, default=None)
    gap = longest_gap(view.schedule)
    if gap is None:
        return None
    own: tuple[timedelta, ...] = ()
    if isinstance(view.schedule, Every | Cron):
        at_all_times = longest_gap(replace(view.schedule, only=None)) or gap
        own = (gap + at_all_times + SLACK,)
    return max((*own, *(limit + gap + SLACK for limit in limits)), default=None)


def _oldest(upstreams: Mapping[str, Age]) -> Age | None:
    """The oldest one, of equals the first by name; an unknown one is older than any."""
    ages = [upstreams[name] for name in sorted(upstreams)]
    unknown = [age for age in ages if age.data_as_of is None]
    known = [(age.data_as_of, age) for age in ages if age.data_as_of is not None]
    if unknown:
        return unknown[0]
    return min(known, key=lambda pair: pair[0])[1] if known else None


def _below(view: str, upstream: Age) -> Age:
    return Age(upstream.data_as_of, (view, *upstream.oldest[-(LONGEST_PATH - 1) :]))
