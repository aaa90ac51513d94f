"""How late refreshes began, and how many there were a second."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """Of some refreshes; times are in seconds."""

    count: int
    seconds: float
    """From the first due instant to the last end."""
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Refreshes a second."""
        return self.count / self.seconds

    @classmethod
    def of(cls, refreshes: Sequence[tuple[datetime, datetime, datetime]]) -> Self:
        """From when each was due, began and ended."""
        late = sorted((began - due).total_seconds() for due, began, _ in refreshes)
        first = min(due for due, _, _ in refreshes)
        last = max(ended for _, _, ended in refreshes)
        return cls(
            count=len(late),
            seconds=(last - first).total_seconds(),
            p50=late[len(late) // 2],
            p99=late[len(late) * 99 // 100],
        )
