"""The line of those that are due and have not begun. Pure.

Thousands may stand in it while a few go at a time: whoever asks who is first must not have to look
at them all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from refresher.schedule.urgency import Turn


@dataclass(slots=True)
class Line:
    """Views in the order of their turns."""

    _turns: dict[str, Turn] = field(default_factory=dict)
    _heap: list[Turn] = field(default_factory=list)
    """The same turns, and some that are over: they are thrown away when they come to the front."""

    def __contains__(self, view: str) -> bool:
        """Whether a view stands in it."""
        return view in self._turns

    def __len__(self) -> int:
        """How many stand in it."""
        return len(self._turns)

    def stand(self, turn: Turn) -> None:
        """Have a view stand in it, at this place instead of any other."""
        if self._turns.get(turn.view) != turn:
            self._turns[turn.view] = turn
            heappush(self._heap, turn)

    def leave(self, view: str) -> bool:
        """Have a view leave it; returns whether it stood there."""
        return self._turns.pop(view, None) is not None

    def first(self, number: int, able: Callable[[str], bool]) -> list[str]:
        """The first views that are able to go, at most so many."""
        found: list[str] = []
        passed: dict[str, Turn] = {}
        while self._heap and len(found) < number:
            turn = heappop(self._heap)
            if self._turns.get(turn.view) != turn or turn.view in passed:
                continue
            passed[turn.view] = turn
            if able(turn.view):
                found.append(turn.view)
        for turn in passed.values():
            heappush(self._heap, turn)
        return found
