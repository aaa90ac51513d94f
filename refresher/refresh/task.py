"""What an attempt is asked to do, and how it can end. Values only."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import TypeAlias

from refresher.config.model import StrategyChoice, View
from refresher.runs import Run, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One due instant of one view, to be discharged."""

    view: View
    upstreams: tuple[str, ...]
    """Its nearest refreshed upstreams."""
    trigger: Trigger
    due_at: datetime
    attempt: int
    ready_at: datetime
    """Since when it could have begun: the due instant, or a retry's time."""
    strategy: StrategyChoice
    max_parallel: int
    misfires: Callable[[datetime | None, datetime], int]
    """Due instants coalesced by a success: (previous as_of, as_of) → how many."""
    most_lag: timedelta | None = None
    """While a standby is further behind, columns wait with writing."""
    others: tuple["Task", ...] = ()
    """Those of the other views of its group, to be discharged in the same transaction."""

    def in_order(self) -> "tuple[Task, ...]":
        """This and the others, each after those it reads."""
        tasks = {task.view.name: task for task in (self, *self.others)}
        reads = {name: sorted(tasks.keys() & tasks[name].upstreams) for name in sorted(tasks)}
        return tuple(tasks[name] for name in TopologicalSorter(reads).static_order())


class Obstacle(StrEnum):
    """Why an attempt did not begin; it left no record."""

    EARLY = "early"
    DISCHARGED = "discharged"
    FENCE = "fence"
    SLOT = "slot"


class NotBegunError(Exception):
    """Unwinds an attempt that found nothing to do, or no room to do it."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle)
        self.obstacle = obstacle


@dataclass(frozen=True, slots=True)
class NotBegun:
    """Nothing was done: it is done already, or its turn has not come."""

    obstacle: Obstacle


@dataclass(frozen=True, slots=True)
class Ended:
    """A run was recorded; its outcome says how it went."""

    run: Run
    others: tuple[Run, ...] = ()
    """Those of the other views of its group."""


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """The database went away before the end could be recorded; its next reader closes the run."""

    run: int
    error: str


Result: TypeAlias = NotBegun | Ended | Unrecorded
