"""Which views to read again, where nothing is known to have happened to them. Pure.

Whatever a decision depends on is in the database, and what changes there is told (`store.touched`).
What only time changes is known beforehand: each decision says until when it holds. So every two
seconds the daemon looks at what was touched and at what is over, and reads no other view.

Should a change ever not be told, the view's turn comes: some are looked at every time for no other
reason, fifty, or as many as it takes for everyone's turn to come within a minute. Up to fifty views
are all read every two seconds.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nsmallest
from typing import assert_never

from refresher.schedule.decision import Decision, Due, Idle, Waiting

_AT_A_TURN = 50
_AT_ONCE = 200
"""How many are looked at because their moment has come, the earliest first. What is due and waits
for a worker is among them: it has been looked at before, and is once more when one is free."""
_AT_ANY_TIME = datetime.min.replace(tzinfo=UTC)


def again_at(
    decision: Decision, now: datetime, *, paused_until: datetime | None
) -> datetime | None:
    """When a view must be looked at again, although nothing happens to it; None if it need not be.

    Args:
        decision: what was decided about it at `now`.
        now: the database's clock.
        paused_until: until when its schedule is held, if it is.
    """
    match decision:
        case Due() | Waiting("running"):
            # The one may have been put off, the other's process may die: neither is written down.
            return now
        case Waiting(until=instant) | Idle(next_due_at=instant):
            return min((at for at in (instant, paused_until) if at is not None), default=None)
        case other:
            assert_never(other)


@dataclass(slots=True)
class Turns:
    """Views, or whatever has a name, that are looked at in turn, some at a time."""

    looks: int
    """In how many looks everyone's turn comes, at the latest."""
    at_least: int = _AT_A_TURN
    """How many are looked at together, at least."""
    _order: tuple[str, ...] = ()
    _turn: int = 0

    def follow(self, views: Collection[str]) -> None:
        """Take turns among these views from now on."""
        self._order = tuple(sorted(views))
        self._turn %= max(1, len(self._order))

    def next(self) -> tuple[str, ...]:
        """Those whose turn it is."""
        number = min(len(self._order), max(self.at_least, -(-len(self._order) // self.looks)))
        first, self._turn = self._turn, self._turn + number
        if self._turn >= len(self._order):
            self._turn -= len(self._order)
            return self._order[first:] + self._order[: self._turn]
        return self._order[first : self._turn]


class Attention:
    """What a watcher remembers of the views it looks at."""

    def __init__(self, *, looks: int = 30) -> None:
        """`looks` is in how many looks everyone's turn comes, at the latest."""
        self._turns = Turns(looks)
        self._again: dict[str, datetime | None] = {}

    def follow(self, views: Collection[str]) -> None:
        """Look at these views from now on, and at no others."""
        self._turns.follow(views)
        self._again = {name: self._again.get(name, _AT_ANY_TIME) for name in views}

    def next(self, now: datetime) -> set[str]:
        """Those whose turn it is, and those whose moment has come."""
        over = [(at, name) for name, at in self._again.items() if at is not None and at <= now]
        return {*self._turns.next(), *(name for _, name in nsmallest(_AT_ONCE, over))}

    def looked(self, again: Mapping[str, datetime | None]) -> None:
        """These were looked at, and must be again at these moments."""
        self._again.update((name, at) for name, at in again.items() if name in self._again)
