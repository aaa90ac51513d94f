"""How long those wait who come at a steady pace, whether the one before has been served or not."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Waits:
    """Seconds, counted from when each was due: one that waits delays the others."""

    seconds: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The middle one; 0 if there was no time for any."""
        return self._percentile(50)

    @property
    def p99(self) -> float:
        """The 99th percentile; 0 if there was no time for any."""
        return self._percentile(99)

    @property
    def longest(self) -> float:
        """0 if there was no time for any."""
        return max(self.seconds, default=0.0)

    def _percentile(self, hundredths: int) -> float:
        ordered = sorted(self.seconds)
        return ordered[len(ordered) * hundredths // 100] if ordered else 0.0
