"""What a decision about a view is made from, and what it says. Pure values."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from refresher.runs import Run, Trigger
from refresher.schedule.aims import Aim
from refresher.schedule.upstreams import UpstreamFacts


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
    data_as_of: datetime | None = None
    """Of the contents that stand; None if unknown."""
    aim: Aim | None = None
    """How stale it may get, where a target lag bounds that."""

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
