"""A simulated database with replicas that look at it, decide, and refresh by the rules.

Replicas act on decisions that are a moment old, as real ones do; what an attempt decides again
under the fence is decided again here. Time is a number that jumps from event to event.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import count
from random import Random

from refresher.config.model import View
from refresher.errors import FailureReason
from refresher.graph import Graph
from refresher.runs import Outcome, Run, Trigger
from refresher.schedule.aims import aims
from refresher.schedule.decision import Decision, Due, Idle, Waiting
from refresher.schedule.facts import decide_all
from refresher.store.state import ViewState
from tests.unit.builders import DAY, NOON, SECOND, run


def dice() -> Random:
    """Chance that falls the same each time."""
    return Random(1)  # noqa: S311 - nothing secret is drawn


class Fate(Enum):
    """What becomes of an attempt."""

    SUCCESS = auto()
    LOCKED = auto()
    REFUSED = auto()
    CANCELLED = auto()
    DEATH = auto()


@dataclass
class Stored:
    """What the database knows of a view."""

    as_of: datetime | None
    data_as_of: datetime | None = None
    seen: dict[str, datetime | None] = field(default_factory=dict)
    unsuccessful: list[Run] = field(default_factory=list)
    running: bool = False
    paused: bool = False
    requested_at: datetime | None = None


@dataclass(frozen=True)
class Success:
    """A success, as its run row has it."""

    view: str
    trigger: Trigger
    due_at: datetime
    previous_as_of: datetime | None
    as_of: datetime
    finished_at: datetime
    previous_data_as_of: datetime | None = None
    data_as_of: datetime | None = None


@dataclass
class World:
    """Everything a decision depends on, and the attempts that come of it."""

    views: Mapping[str, View]
    graph: Graph
    random: Random
    now: datetime = NOON
    rescan: timedelta = 2 * SECOND
    lag: timedelta = timedelta()
    """How old a decision may be when it is acted upon."""
    max_parallel: int = 4
    fate: Callable[[str], Fate] = lambda _: Fate.SUCCESS
    seconds: Callable[[str], float] = lambda _: 1.0
    """How long an attempt takes."""
    usual: Mapping[str, float] = field(default_factory=dict)
    """How many seconds those of each view are known to take, where there are targets."""
    unmanaged: frozenset[str] = frozenset()
    """The views that read something of which nobody knows how old it is, besides."""
    successes: list[Success] = field(default_factory=list)
    attempts: list[tuple[str, Due]] = field(default_factory=list)
    decisions: dict[str, Decision] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stored = {name: Stored(as_of=None) for name in self.views}
        self._numbers = count()
        self._wakes: set[datetime] = set()
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self.add_replicas(1)

    def add_replicas(self, number: int) -> None:
        """Replicas look at different moments."""
        for _ in range(number):
            self._in(self.rescan * self.random.random(), self._look_again)

    def settle(self) -> None:
        """Let every view have been refreshed just now, each from what stands."""
        for name in self.graph.order():
            stored = self.stored[name]
            stored.as_of = stored.data_as_of = self.now
            stored.seen = dict.fromkeys(self.graph.refreshed_upstreams(name), self.now)

    def pass_time(self, length: timedelta) -> None:
        """Let things happen for a while."""
        end = self.now + length
        while self._events and self._events[0][0] <= end:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = end

    def decision(self, view: str) -> Decision:
        """What the newest look came to."""
        return self.decisions[view]

    def successes_of(self, view: str) -> list[Success]:
        return [success for success in self.successes if success.view == view]

    def _in(self, wait: timedelta, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + wait, next(self._numbers), event))

    def _look_again(self) -> None:
        self._look()
        self._in(self.rescan, self._look_again)

    def _look(self) -> None:
        self.decisions = dict(self._decide())
        due = [(name, each) for name, each in self.decisions.items() if isinstance(each, Due)]
        if due:
            self._in(self.lag * self.random.random(), lambda: self._act(due))
        for decision in self.decisions.values():
            match decision:
                case Waiting(until=moment) | Idle(next_due_at=moment):
                    self._wake_at(moment)
                case Due():
                    pass

    def _wake_at(self, moment: datetime | None) -> None:
        if moment is not None and moment not in self._wakes and moment - self.now < self.rescan:
            self._wakes.add(moment)
            self._in(moment - self.now, self._look)

    def _decide(self) -> Mapping[str, Decision]:
        states = {name: self._state(name, stored) for name, stored in self.stored.items()}
        known = {name: timedelta(seconds=takes) for name, takes in self.usual.items()}
        wanted = aims(self.views, self.graph, known, self.now)
        return decide_all(self.views, states, self.graph, wanted, self.now)

    def _state(self, name: str, stored: Stored) -> ViewState:
        return ViewState(
            view=name,
            relation=1,
            relation_kind="m" if self.views[name].refreshed else "v",
            populated=stored.as_of is not None,
            owner="postgres",
            as_of=stored.as_of,
            data_as_of=stored.data_as_of,
            upstreams_seen=stored.seen,
            success_run=None,
            rows=None,
            last_change_at=None,
            running=stored.running,
            rows_done=None,
            rows_total=None,
            paused_until=self.now + DAY if stored.paused else None,
            requested_at=stored.requested_at,
            requested_strategy=None,
            unsuccessful=tuple(stored.unsuccessful),
        )

    def _act(self, due: list[tuple[str, Due]]) -> None:
        for name, decision in due:
            busy = sum(stored.running for stored in self.stored.values())
            if busy < self.max_parallel and not self._obstacle(name, decision):
                self._attempt(name, decision)

    def _obstacle(self, name: str, due: Due) -> bool:
        """What an attempt finds under the fence."""
        stored = self.stored[name]
        if due.trigger is Trigger.UPSTREAM:
            discharged = stored.as_of is not None and stored.seen == self._read(name)
        else:
            discharged = stored.as_of is not None and stored.as_of >= due.due_at
        return stored.running or discharged

    def _read(self, name: str) -> dict[str, datetime | None]:
        return {up: self.stored[up].as_of for up in self.graph.refreshed_upstreams(name)}

    def _attempt(self, name: str, due: Due) -> None:
        self.attempts.append((name, due))
        assert due.due_at <= due.ready_at <= self.now
        stored = self.stored[name]
        stored.running = True
        opened = run(
            view=name,
            due_at=due.due_at,
            started_at=self.now,
            attempt=due.attempt,
            outcome=None,
            failure=None,
            finished_at=None,
        )
        stored.unsuccessful.append(opened)
        as_of, seen, fate = self.now, self._read(name), self.fate(name)
        read = [self.stored[up].data_as_of for up in seen]
        unknown = None in read or name in self.unmanaged
        data_as_of = None if unknown else min([as_of, *filter(None, read)])

        def end() -> None:
            stored.running = False
            if fate is Fate.SUCCESS:
                self.successes.append(
                    Success(
                        view=name,
                        trigger=due.trigger,
                        due_at=due.due_at,
                        previous_as_of=stored.as_of,
                        as_of=as_of,
                        finished_at=self.now,
                        previous_data_as_of=stored.data_as_of,
                        data_as_of=data_as_of,
                    )
                )
                stored.as_of, stored.data_as_of = as_of, data_as_of
                stored.seen, stored.unsuccessful = seen, []
            else:
                stored.unsuccessful[-1] = self._ended(opened, fate)
            self._look()

        self._in(timedelta(seconds=self.seconds(name)), end)

    def _ended(self, opened: Run, fate: Fate) -> Run:
        match fate:
            case Fate.DEATH:
                return opened
            case Fate.CANCELLED:
                outcome, failure = Outcome.CANCELLED, None
            case Fate.LOCKED:
                outcome, failure = Outcome.FAILED, FailureReason.LOCK_TIMEOUT
            case _:
                outcome, failure = Outcome.FAILED, FailureReason.PERMISSION
        return run(
            view=opened.view,
            due_at=opened.due_at,
            started_at=opened.started_at,
            attempt=opened.attempt,
            finished_at=self.now,
            outcome=outcome,
            failure=failure,
        )
