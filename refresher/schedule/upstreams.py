"""`after: upstream`: what newer contents above make due, and what a view waits for first. Pure.

An upstream is *unseen* while its as_of is newer than the one this view has read. The oldest as_of
among the unseen is the moment the view became due. It waits for every other upstream that has been
behind its own instants since then or longer, so that the bottom of a diamond is refreshed once,
after all its sides.

Nothing starves: a view waits only for upstreams that are not unseen, and a success makes one unseen
until this view has read it. So each can hold it up for one success at most, however far behind
they all are. One that fails holds it up until it succeeds, visibly; a paused one does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from refresher.config.model import AfterUpstream
from refresher.errors import FailureReason
from refresher.schedule.instants import jitter_of

_LATER = timedelta(microseconds=1)
"""The least by which one PostgreSQL timestamp is later than another."""
_PATIENCE = timedelta(hours=1)
"""How old a request is that nobody waits for any more: who has not begun by then may never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFacts:
    """A nearest refreshed upstream, as the view that reads it needs to know it."""

    name: str
    as_of: datetime | None
    """None if nothing tells how old it is, as before it was populated."""
    seen_as_of: datetime | None
    """The as_of at which this view's last success read it."""
    undischarged: datetime | None
    """Since when it is behind its own instants: what `due.undischarged` says of it."""
    paused: bool
    data_as_of: datetime | None = None
    """Of the contents it has; None if unknown."""
    expected_at: datetime | None = None
    """When its next success can be expected to be there; None if nobody can tell."""
    requested_at: datetime | None = None
    """The newest manual request for it, if that is pending."""
    failure: FailureReason | None = None
    """How its newest run failed, if it did."""


def due_instants(upstreams: Sequence[UpstreamFacts], as_of: datetime | None) -> list[datetime]:
    """When the unseen upstreams made a view due whose contents have this as_of, None for none.

    An upstream that was at work while this view read its old contents has an as_of which this
    view's own success seems to discharge; its instant comes after that success.
    """
    earliest = as_of and as_of + _LATER
    moments = _unseen(upstreams, as_of).values()
    return [max(moment, earliest) if earliest else moment for moment in moments]


def behind_since(upstreams: Sequence[UpstreamFacts], as_of: datetime | None) -> datetime | None:
    """Since when, at the earliest, a view is behind its upstreams; None if it is not.

    Behind an unseen one it is since some refresh after the one it read, maybe long before the
    newest. An upstream that is behind itself will be unseen once it is not, so what that one waits
    for counts too: the bottom of a diamond waits for its longer side.
    """
    unseen = _unseen(upstreams, as_of)
    moments = (
        upstream.seen_as_of or upstream.as_of
        if upstream.name in unseen
        else None
        if upstream.paused
        else upstream.undischarged
        for upstream in upstreams
    )
    return min((moment for moment in moments if moment is not None), default=None)


def waits_for(upstreams: Sequence[UpstreamFacts], as_of: datetime | None) -> str | None:
    """Why a view that is due has to wait for its upstreams; None if it has not."""
    empty = [upstream.name for upstream in upstreams if upstream.as_of is None]
    if empty:
        return f"waits for {', '.join(empty)}: not refreshed yet"
    unseen = _unseen(upstreams, as_of)
    since = min(unseen.values(), default=None)
    if since is None:
        return None
    behind = [
        _describe(upstream, upstream.undischarged)
        for upstream in upstreams
        if upstream.name not in unseen
        and not upstream.paused
        and upstream.undischarged is not None
        and upstream.undischarged <= since
    ]
    return f"waits for {', '.join(behind)}" if behind else None


def asked_for_before(
    upstreams: Sequence[UpstreamFacts], requested_at: datetime, now: datetime
) -> str | None:
    """Why a view that somebody asked for has to wait for what was asked for above it before.

    Until those requests are discharged or given up, but an hour at most: its own schedule waits
    with it.
    """
    above = [
        upstream.name
        for upstream in upstreams
        if upstream.requested_at is not None
        and now - _PATIENCE <= upstream.requested_at <= requested_at
    ]
    return f"waits for {', '.join(above)}: asked for, too" if above else None


def start(
    schedule: AfterUpstream,
    view: str,
    upstreams: Sequence[UpstreamFacts],
    as_of: datetime | None,
) -> datetime | None:
    """When jitter lets a view begin; None if no upstream is unseen.

    Jitter stays below the gap between instants, as far as that shows: an upstream that is
    refreshed more often than the jitter is long must not put the start off for ever.
    """
    since = min(_unseen(upstreams, as_of).values(), default=None)
    if since is None:
        return None
    room = schedule.jitter if as_of is None else min(schedule.jitter, since - as_of)
    return since + jitter_of(view, since, room)


def _unseen(upstreams: Sequence[UpstreamFacts], as_of: datetime | None) -> dict[str, datetime]:
    """The as_of of each upstream with newer contents than this view has read."""
    return {
        upstream.name: upstream.as_of
        for upstream in upstreams
        if upstream.as_of is not None
        and (as_of is None or upstream.seen_as_of is None or upstream.as_of > upstream.seen_as_of)
    }


def _describe(upstream: UpstreamFacts, undischarged: datetime) -> str:
    if upstream.failure is not None:
        return f"{upstream.name} (failed: {upstream.failure})"
    return f"{upstream.name} (due since {undischarged:%Y-%m-%d %H:%M:%S %Z})"
