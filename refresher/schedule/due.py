"""Whether a view is due, decided from facts alone: the same on every replica. Pure.

A due instant is *pending* once `now` has reached it, until a success with as_of ≥ due_at discharges
it. Of several pending instants of a schedule the newest counts; a success discharges the others
with it, and they are counted as misfires.

    idle ──an instant is reached, an upstream is newer, a request──▶ pending
    pending ──an attempt begins──▶ running ──success──▶ idle
    running ──cancelled by a drain──▶ pending, at once for another replica
    running ──its process died, a failure that may pass──▶ pending, after a back-off
    running ──a failure that won't pass, no attempt left──▶ waits for the next instant
    pending ──paused, an upstream is behind, outside `only`──▶ waits, and says for what

What makes an instant:

- `every` and cron: the schedule (`instants.py`). A view that was never populated is due at the
  newest instant there was.
- `after: upstream`: an upstream whose as_of is newer than the one this view has read; it may have
  to wait for others (`upstreams.py`).
- `target_lag`, its own or that of a view below it: that staleness gets near it (`target.py`); a
  view has this besides the instants of its own schedule.
- a request: it outlives a pause, which holds the schedule only, and is met outside `only`, too. It
  waits, for an hour at most, for requests for views above that were made before: whole closures are
  asked for top down.

How it fails. Facts may be old when they are acted upon: an attempt decides again under the fence.
A replica whose facts are wrong therefore costs a try, never a second success. A missing upstream
keeps its readers waiting by name. Nothing here raises on a configuration that was loaded.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from refresher.config.model import AfterUpstream, Cron, Every, Manual, TargetLag, View
from refresher.refresh.retry import First, GiveUp, RetryAt, next_attempt
from refresher.runs import Trigger
from refresher.schedule import instants, target, upstreams
from refresher.schedule.aims import MARGIN
from refresher.schedule.decision import Decision, Due, Facts, Idle, Waiting
from refresher.windows import Windows


def decide(view: View, facts: Facts) -> Decision:
    """Decide what to do about a view now."""
    if not view.refreshed:
        return Idle(None)
    if facts.running:
        return Waiting("running")
    requested = _decide_request(view, facts)
    if isinstance(requested, Due):
        # By schedule it would discharge the request, too, and too early.
        above = upstreams.asked_for_before(facts.upstreams, requested.due_at, facts.now)
        return requested if above is None else Waiting(above)
    if facts.paused:
        scheduled: Decision = Waiting("paused")
    else:
        scheduled = _either(_decide_schedule(view, facts), _decide_target(view, facts))
        scheduled = _wait_for_window(view, facts, scheduled)
    return scheduled if requested is None else _either(requested, scheduled)


def undischarged(view: View, facts: Facts) -> datetime | None:
    """Since when a view has been behind its due instants; None if none is pending.

    `after: upstream` views below it wait for it by this. Where schedule or request made them it is
    the oldest pending instant; where upstreams did it may be earlier (`upstreams.behind_since`).
    Nobody waits for a view that may not start now.
    """
    as_of = facts.contents_as_of
    pending = [pending_request(view, facts)]
    if (only := _only(view)) is not None and not only.contains(facts.now):
        return pending[0]
    if isinstance(aimed_at := _decide_target(view, facts), Due):
        pending.append(aimed_at.due_at)
    match view.schedule:
        case Every() | Cron():
            newest = _newest_instant(view, facts)
            if newest is not None and as_of is not None:
                newest = instants.next_after(view.schedule, view.cadence, as_of)
            pending.append(newest)
        case AfterUpstream():
            pending.append(upstreams.behind_since(facts.upstreams, as_of))
        case TargetLag() | Manual():
            pass
        case other:
            assert_never(other)
    return min((instant for instant in pending if instant is not None), default=None)


def pending_request(view: View, facts: Facts) -> datetime | None:
    """The manual request for a view that is not discharged, if one is not."""
    return None if _decide_request(view, facts) is None else facts.requested_at


def next_due_at(view: View, facts: Facts) -> datetime | None:
    """The due instant of the next attempt: a pending one, or the schedule's next.

    None if nobody can tell: of a manual schedule, a paused one, or one that follows upstreams.
    """
    requested_at = pending_request(view, facts)
    if not view.refreshed or facts.paused:
        return requested_at
    due_at = _newest_instant(view, facts)
    if due_at is None or isinstance(_attempt(view, facts, _trigger(view), due_at), GiveUp):
        due_at = instants.next_after(view.schedule, view.cadence, facts.now)
    match _decide_target(view, facts):
        case Due(due_at=instant) | Idle(next_due_at=instant) | Waiting(until=instant):
            return _earlier(requested_at, _earlier(due_at, instant))
        case other:
            assert_never(other)


def expected_at(view: View, facts: Facts, decision: Decision) -> datetime | None:
    """When the next success of a view can be expected to be there, by what is usual for it.

    None if nobody can tell: it is paused, or only somebody's request will begin it.
    """
    if facts.running or isinstance(decision, Due):
        begins: datetime | None = facts.now
    elif facts.paused or isinstance(view.schedule, Manual):
        begins = _until(decision)
    else:
        above = (upstream.expected_at for upstream in facts.upstreams)
        followed = max((at for at in above if at is not None), default=None)
        begins = _until(decision) or followed
    takes = MARGIN if facts.aim is None else facts.aim.usual + MARGIN
    return begins and max(begins, facts.now) + takes


def misfires(view: View, previous_as_of: datetime | None, as_of: datetime) -> int:
    """How many due instants a success coalesced: all that it discharged but one."""
    if previous_as_of is None:
        return 0
    return max(0, instants.count(view.schedule, view.cadence, previous_as_of, as_of) - 1)


def _decide_request(view: View, facts: Facts) -> Due | Waiting | None:
    """None if there is no request, or it is discharged or given up."""
    requested_at, as_of = facts.requested_at, facts.contents_as_of
    if requested_at is None or (as_of is not None and as_of >= requested_at):
        return None
    attempt = _attempt(view, facts, Trigger.MANUAL, requested_at)
    return None if isinstance(attempt, GiveUp) else attempt


def _decide_schedule(view: View, facts: Facts) -> Decision:
    if isinstance(view.schedule, AfterUpstream):
        obstacle = _wait_for_upstreams(view.name, view.schedule, facts)
        if obstacle is not None:
            return obstacle
    due_at = _newest_instant(view, facts)
    following = instants.next_after(view.schedule, view.cadence, facts.now)
    if due_at is None:
        return Idle(following)
    match _attempt(view, facts, _trigger(view), due_at):
        case Due() as due:
            return due
        case Waiting(reason, until):
            return Waiting(reason, _earlier(until, following))
        case GiveUp() as end:
            return _given_up(end, following)
        case other:
            assert_never(other)


def _wait_for_window(view: View, facts: Facts, decision: Decision) -> Decision:
    """What a decision by schedule or target lag comes to inside and outside `only`."""
    only = _only(view)
    if only is None or not isinstance(decision, Due):
        return decision
    opening = only.next_open(facts.now)
    if opening > facts.now:
        return Waiting(f"outside {only}", opening)
    opened = only.open_since(facts.now)
    return replace(decision, ready_at=max(decision.ready_at, opened or decision.ready_at))


def _only(view: View) -> Windows | None:
    return None if isinstance(view.schedule, Manual) else view.schedule.only


def _decide_target(view: View, facts: Facts) -> Decision:
    if facts.aim is None:
        return Idle(None)
    tried = (run.due_at for run in facts.unsuccessful if run.trigger is Trigger.SCHEDULE)
    aimed = target.Aimed(
        view=view.name,
        aim=facts.aim,
        now=facts.now,
        as_of=facts.contents_as_of,
        data_as_of=facts.data_as_of if facts.populated else None,
        upstreams=facts.upstreams,
        jitter=view.schedule.jitter if isinstance(view.schedule, TargetLag) else timedelta(),
        tried=max(tried, default=None),
    )
    match target.decide(aimed):
        case target.NotYet(until, reason):
            return Idle(until) if reason is None else Waiting(reason, until)
        case target.Pending(due_at, trigger):
            attempt = _attempt(view, facts, trigger, due_at)
            if isinstance(attempt, GiveUp):
                return _given_up(attempt, target.next_after(aimed))
            return attempt
        case other:
            assert_never(other)


def _given_up(end: GiveUp, following: datetime | None) -> Waiting:
    return Waiting(f"{end.reason}; waits for its next due instant", following)


def _either(one: Decision, other: Decision) -> Decision:
    """What two reasons to refresh come to: whichever has it begin, or wait for the sooner."""
    if isinstance(other, Due) and not isinstance(one, Due):
        return other
    match one:
        case Due():
            return one
        case Waiting(reason, until):
            return Waiting(reason, _earlier(until, _until(other)))
        case Idle(next_due_at) if isinstance(other, Waiting):
            return Waiting(other.reason, _earlier(next_due_at, other.until))
        case Idle(next_due_at):
            return Idle(_earlier(next_due_at, _until(other)))
        case never:
            assert_never(never)


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
            newest = instants.latest(view.schedule, view.cadence, facts.now)
            return None if newest is None or (as_of and as_of >= newest) else newest
        case AfterUpstream():
            return max(upstreams.due_instants(facts.upstreams, as_of), default=None)
        case TargetLag() | Manual():
            return None
        case other:
            assert_never(other)


def _wait_for_upstreams(view: str, schedule: AfterUpstream, facts: Facts) -> Waiting | None:
    as_of = facts.contents_as_of
    reason = upstreams.waits_for(facts.upstreams, as_of)
    if reason is not None:
        return Waiting(reason)
    start = upstreams.start(schedule, view, facts.upstreams, as_of)
    return Waiting("jitter", start) if start is not None and start > facts.now else None


def _until(decision: Decision) -> datetime | None:
    match decision:
        case Due(due_at=instant) | Waiting(until=instant) | Idle(next_due_at=instant):
            return instant
        case other:
            assert_never(other)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
