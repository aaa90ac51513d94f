"""Whether a view is due, decided from facts alone: the same on every replica. Pure.

A due instant is *pending* once `now` has reached it, until a success with as_of ≥ due_at discharges
it. Of several pending instants of a schedule the newest counts; a success discharges the others
with it, and they are counted as misfires.

    idle ──an instant is reached, an upstream is newer, a request──▶ pending
    pending ──first attempt──▶ running ──success──▶ idle
    pending ◀──cancelled (a drain), its process died, a failure that may pass: after a back-off──┘
    pending ──a failure that won't pass, or no attempt left──▶ waits for the next instant
    pending ──paused, or an upstream is behind──▶ waits, and says for what

What makes an instant:

- `every` and cron: the schedule (`instants.py`). A view that was never populated is due at the
  newest instant there was.
- `after: upstream`: an upstream whose as_of is newer than the one this view has read. It waits
  for every other upstream with an instant pending that is not later, so that the bottom of a
  diamond is refreshed once, after both sides. It waits only for upstreams it has read the newest
  contents of: each success among those ends a wait for good, so views that are always behind
  delay it by one refresh each at most. One that fails keeps it waiting, visibly; a pause does not.
  `undischarged` passes a wait on through `after: upstream` views of any depth.
- a request: it outlives a pause, which holds the schedule only.

How it fails. Facts may be old when they are acted upon: an attempt decides again under the fence.
A replica whose facts are wrong therefore costs a try, never a second success. A missing upstream
keeps its readers waiting by name. Nothing here raises on a configuration that was loaded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias, assert_never

from refresher.config.model import AfterUpstream, Cron, Every, Manual, View
from refresher.errors import FailureReason
from refresher.refresh.retry import First, GiveUp, RetryAt, next_attempt
from refresher.runs import Run, Trigger
from refresher.schedule import instants

_LATER = timedelta(microseconds=1)
"""The least by which one PostgreSQL timestamp is later than another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFacts:
    """A nearest refreshed upstream, as the view that reads it needs to know it."""

    name: str
    as_of: datetime | None
    """None if it was never populated."""
    seen_as_of: datetime | None
    """The as_of at which this view's last success read it."""
    undischarged: datetime | None
    """Its oldest pending instant: what `undischarged` says of it."""
    paused: bool
    failure: FailureReason | None = None
    """How its newest run failed, if it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the database knows of one view, read at `now` of its clock."""

    now: datetime
    as_of: datetime | None
    populated: bool
    paused: bool
    running: bool
    requested_at: datetime | None
    """The newest manual request."""
    unsuccessful: tuple[Run, ...]
    """Runs since the last success, oldest first."""
    upstreams: tuple[UpstreamFacts, ...]

    @property
    def contents_as_of(self) -> datetime | None:
        """The as_of of the contents that stand; None if there are none."""
        return self.as_of if self.populated else None


@dataclass(frozen=True, slots=True)
class Due:
    """Start an attempt."""

    trigger: Trigger
    due_at: datetime
    attempt: int
    ready_at: datetime
    """Since when it could have begun: the due instant, or the end of a back-off."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """It should be refreshed, or could be, but not now."""

    reason: str
    until: datetime | None = None
    """When to decide again at the latest; None if only an event will tell."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing is pending."""

    next_due_at: datetime | None
    """None if the schedule has no instants of its own."""


Decision: TypeAlias = Due | Waiting | Idle


def decide(view: View, facts: Facts) -> Decision:
    """Decide what to do about a view now."""
    if not view.refreshed:
        return Idle(None)
    if facts.running:
        return Waiting("running")
    requested = _decide_request(view, facts)
    if isinstance(requested, Due):
        return requested
    scheduled = Waiting("paused") if facts.paused else _decide_schedule(view, facts)
    if requested is None or isinstance(scheduled, Due):
        return scheduled
    return Waiting(requested.reason, _earlier(requested.until, _until(scheduled)))


def undischarged(view: View, facts: Facts) -> datetime | None:
    """The oldest pending instant of a view, which `after: upstream` views below it wait for.

    One that waits for upstreams itself hands on their instants: its own is still to come.
    """
    pending = []
    if facts.requested_at is not None and _decide_request(view, facts) is not None:
        pending.append(facts.requested_at)
    newest = _newest_instant(view, facts)
    if newest is not None:
        pending.append(_oldest_instant(view, facts) or newest)
    if isinstance(view.schedule, AfterUpstream):
        pending += (u.undischarged for u in facts.upstreams if u.undischarged and not u.paused)
    return min(pending, default=None)


def next_due_at(view: View, facts: Facts) -> datetime | None:
    """The due instant of the next attempt: a pending one, or the schedule's next.

    None if nobody can tell: of a manual schedule, a paused one, or one that follows upstreams.
    """
    coming = []
    if facts.requested_at is not None and _decide_request(view, facts) is not None:
        coming.append(facts.requested_at)
    if view.refreshed and not facts.paused:
        due_at = _newest_instant(view, facts)
        if due_at is None or isinstance(_attempt(view, facts, _trigger(view), due_at), GiveUp):
            due_at = instants.next_after(view.schedule, view.name, facts.now)
        coming += () if due_at is None else (due_at,)
    return min(coming, default=None)


def misfires(view: View, previous_as_of: datetime | None, as_of: datetime) -> int:
    """How many due instants a success coalesced: all that it discharged but one."""
    if previous_as_of is None:
        return 0
    return max(0, instants.count(view.schedule, view.name, previous_as_of, as_of) - 1)


def _decide_request(view: View, facts: Facts) -> Due | Waiting | None:
    """None if there is no request, or it is discharged or given up."""
    requested_at, as_of = facts.requested_at, facts.contents_as_of
    if requested_at is None or (as_of is not None and as_of >= requested_at):
        return None
    attempt = _attempt(view, facts, Trigger.MANUAL, requested_at)
    return None if isinstance(attempt, GiveUp) else attempt


def _decide_schedule(view: View, facts: Facts) -> Decision:
    if isinstance(view.schedule, AfterUpstream):
        waiting = _wait_for_upstreams(view, view.schedule, facts)
        if waiting is not None:
            return waiting
    due_at = _newest_instant(view, facts)
    following = instants.next_after(view.schedule, view.name, facts.now)
    if due_at is None:
        return Idle(following)
    match _attempt(view, facts, _trigger(view), due_at):
        case Due() as due:
            return due
        case Waiting(reason, until):
            return Waiting(reason, _earlier(until, following))
        case GiveUp(reason):
            return Waiting(f"{reason}; waits for its next due instant", following)
        case other:
            assert_never(other)


def _attempt(
    view: View, facts: Facts, trigger: Trigger, due_at: datetime
) -> Due | Waiting | GiveUp:
    if due_at > facts.now:
        return Waiting("not yet due", due_at)
    match next_attempt(view.retry, view.name, due_at, facts.unsuccessful):
        case First():
            return Due(trigger, due_at, attempt=1, ready_at=due_at)
        case RetryAt(at, attempt, reason):
            if at > facts.now:
                return Waiting(reason, at)
            return Due(trigger, due_at, attempt, ready_at=max(at, due_at))
        case GiveUp() as end:
            return end
        case other:
            assert_never(other)


def _trigger(view: View) -> Trigger:
    return Trigger.UPSTREAM if isinstance(view.schedule, AfterUpstream) else Trigger.SCHEDULE


def _newest_instant(view: View, facts: Facts) -> datetime | None:
    """The newest pending instant of the schedule."""
    as_of = facts.contents_as_of
    match view.schedule:
        case Every() | Cron():
            newest = instants.latest(view.schedule, view.name, facts.now)
            return None if newest is None or (as_of and as_of >= newest) else newest
        case AfterUpstream():
            return max(_upstream_instants(facts), default=None)
        case Manual():
            return None
        case other:
            assert_never(other)


def _oldest_instant(view: View, facts: Facts) -> datetime | None:
    """The oldest pending one, where some instant is pending."""
    if isinstance(view.schedule, AfterUpstream):
        return min(_upstream_instants(facts), default=None)
    as_of = facts.contents_as_of
    return as_of and instants.next_after(view.schedule, view.name, as_of)


def _unseen(facts: Facts) -> list[UpstreamFacts]:
    """The upstreams with newer contents than this view has read."""
    empty = facts.contents_as_of is None
    return [
        upstream
        for upstream in facts.upstreams
        if upstream.as_of is not None
        and (empty or upstream.seen_as_of is None or upstream.as_of > upstream.seen_as_of)
    ]


def _upstream_instants(facts: Facts) -> Iterator[datetime]:
    """When the unseen contents of upstreams made this view due.

    An upstream that was at work while this view read its old contents has an as_of which this
    view's own success seems to discharge; its instant comes after that success.
    """
    as_of = facts.contents_as_of
    for upstream in _unseen(facts):
        if upstream.as_of is not None:
            yield upstream.as_of if as_of is None else max(upstream.as_of, as_of + _LATER)


def _wait_for_upstreams(view: View, schedule: AfterUpstream, facts: Facts) -> Waiting | None:
    empty = [upstream.name for upstream in facts.upstreams if upstream.as_of is None]
    if empty:
        return Waiting(f"waits for {', '.join(empty)}: never populated")
    unseen = _unseen(facts)
    since = min((upstream.as_of for upstream in unseen if upstream.as_of), default=None)
    if since is None:
        return None
    behind = [
        upstream
        for upstream in facts.upstreams
        if upstream not in unseen
        and not upstream.paused
        and upstream.undischarged is not None
        and upstream.undischarged <= since
    ]
    if behind:
        return Waiting(f"waits for {', '.join(map(_describe, behind))}")
    # Jitter stays below the gap between instants, as far as it shows: an upstream that is
    # refreshed more often than the jitter is long must not put the start off for ever.
    as_of = facts.contents_as_of
    room = schedule.jitter if as_of is None else min(schedule.jitter, since - as_of)
    start = since + instants.jitter_of(view.name, since, room)
    return Waiting("jitter", start) if start > facts.now else None


def _describe(upstream: UpstreamFacts) -> str:
    if upstream.failure is not None:
        return f"{upstream.name} (failed: {upstream.failure})"
    return f"{upstream.name} (due since {upstream.undischarged:%Y-%m-%d %H:%M:%S %Z})"


def _until(decision: Waiting | Idle) -> datetime | None:
    return decision.until if isinstance(decision, Waiting) else decision.next_due_at


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
