"""When a view with an aim (`aims.py`) must be refreshed so that its staleness stays within. Pure.

    start by = data_as_of + lag - what a refresh usually takes - MARGIN - jitter

A view that reads base tables only is due then. One with refreshed upstreams gets no fresher than
they are: it is due when they have something newer, unless they will have something newer still in
time for `start by`. So it is refreshed once for what all its upstreams bring, and not before. Where
nobody knows how old what they read is, it is due whenever one of them was refreshed.

A due instant that failed for good does not hold up the ones after it: they follow one lag apart,
also where the lag has become a little longer or shorter since, as what is usual always does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from refresher.config.model import Every
from refresher.runs import Trigger
from refresher.schedule import instants, upstreams
from refresher.schedule.aims import MARGIN, Aim
from refresher.schedule.upstreams import UpstreamFacts

_LATER = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Pending:
    """It has to be refreshed now."""

    due_at: datetime
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class NotYet:
    """There is time, or nothing to be had."""

    until: datetime | None
    """When to decide again; None if only an upstream's refresh will tell."""
    reason: str | None = None
    """What it waits for, if it would be due but for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aimed:
    """What is known of a view with an aim."""

    view: str
    aim: Aim
    now: datetime
    as_of: datetime | None
    data_as_of: datetime | None
    upstreams: tuple[UpstreamFacts, ...]
    jitter: timedelta = timedelta()
    """The most by which it begins earlier than it must, to spread the load."""
    tried: datetime | None = None
    """The newest instant that was tried without success."""

    @property
    def start_by(self) -> datetime | None:
        """When a refresh has to begin at the latest; None if nobody knows how fresh the view is."""
        since = self.data_as_of
        if since is None and not self.upstreams:
            since = self.as_of  # nobody knows how old what it reads is; its own part is known
        if since is None:
            return None
        room = self.aim.lag - self.aim.usual - MARGIN
        return since + room - instants.jitter_of(self.view, since, min(self.jitter, room))


def decide(facts: Aimed) -> Pending | NotYet:
    """Decide whether a view has to be refreshed for its aim."""
    if facts.as_of is None:
        empty = [upstream.name for upstream in facts.upstreams if upstream.as_of is None]
        if empty:
            return NotYet(None, f"waits for {', '.join(empty)}: not refreshed yet")
        every = Every(every=facts.aim.lag)
        filled_by = instants.latest(every, facts.view, facts.now)
        assert filled_by is not None  # noqa: S101 - `every` has always had one
        return Pending(_newest(facts, filled_by), Trigger.SCHEDULE)
    if facts.upstreams and not _reads_newest(facts):
        return _follow(facts, facts.as_of)
    start_by = facts.start_by
    if start_by is None or start_by > facts.now:
        return NotYet(start_by)
    return Pending(_newest(facts, max(start_by, facts.as_of + _LATER)), Trigger.SCHEDULE)


def next_after(facts: Aimed) -> datetime | None:
    """The due instant after now, should the pending one be given up."""
    match decide(facts):
        case Pending(due_at, Trigger.SCHEDULE):
            return due_at + facts.aim.lag
        case Pending():
            return None
        case NotYet(until):
            return until


def _newest(facts: Aimed, first: datetime) -> datetime:
    """The newest of the instants that follow the first one, or the one that was tried."""
    tried = facts.tried
    if tried is not None and tried <= facts.now and (facts.as_of is None or tried > facts.as_of):
        first = tried
    return first + (facts.now - first) // facts.aim.lag * facts.aim.lag


def _reads_newest(facts: Aimed) -> bool:
    """Whether its own as_of is what its staleness comes from, and nothing above it has changed."""
    return facts.data_as_of == facts.as_of and not upstreams.due_instants(
        facts.upstreams, facts.as_of
    )


def _follow(facts: Aimed, as_of: datetime) -> Pending | NotYet:
    """Of a view with upstreams."""
    start_by = facts.start_by
    pressing = start_by is None or start_by <= facts.now
    unseen = upstreams.due_instants(facts.upstreams, as_of)
    if not unseen or not _brings_newer(facts):
        behind = _oldest(facts.upstreams)
        return NotYet(None, f"waits for {behind}" if pressing else None)
    expected = [each.expected_at for each in facts.upstreams if each.data_as_of is not None]
    better_at = max((at for at in expected if at is not None), default=None)
    if not pressing and better_at is not None and start_by is not None and better_at <= start_by:
        return NotYet(start_by)
    return Pending(max(unseen), Trigger.UPSTREAM)


def _brings_newer(facts: Aimed) -> bool:
    """Whether a refresh now would be of newer data, back to the base tables, as far as that shows.

    What a filled upstream reads may be of unknown age for good, as where nobody here refreshes it.
    Then its newer contents are all that can be had.
    """
    if any(each.as_of is None for each in facts.upstreams):
        return False
    known = [each.data_as_of for each in facts.upstreams if each.data_as_of is not None]
    if facts.data_as_of is None or len(known) < len(facts.upstreams):
        return True
    return min(known) > facts.data_as_of


def _oldest(above: Sequence[UpstreamFacts]) -> str:
    never = datetime.min.replace(tzinfo=UTC)
    return min(above, key=lambda each: (each.data_as_of or never, each.name)).name
