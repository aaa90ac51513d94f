"""How much work is handed out before a worker is free for it. Pure.

A worker that is through with a refresh of some milliseconds would else wait for the loop, which
reads states and decides before it hands out the next. What is handed out can't be overtaken by what
is more urgent any more, so it is no more than workers are through with in a tenth of a second.
Where other processes take slots, too, it would only be refused: then it begins with nothing again.
"""

from dataclasses import dataclass, field

_SECONDS = 0.1
_SHORTEST_SECONDS = 0.001
_NEWEST_SHARE = 0.2
"""How much the newest refresh counts in what is usual."""


@dataclass(slots=True)
class Ahead:
    """For one database; grows by one with each success."""

    workers: int
    number: int = field(default=0, init=False)
    """How many tasks to hand out besides one for each worker."""
    _usual_seconds: float = field(default=_SECONDS, init=False)

    def succeeded(self, seconds: float) -> None:
        """A refresh took so long."""
        self._usual_seconds += _NEWEST_SHARE * (seconds - self._usual_seconds)
        through = self.workers * _SECONDS / max(self._usual_seconds, _SHORTEST_SECONDS)
        self.number = max(0, min(self.number + 1, round(through) - self.workers))

    def refused(self) -> None:
        """Every slot was taken."""
        self.number = 0
