"""What a simulation of definitions found. Values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from refresher.definitions.model import RelationFacts, Subject, Unreadable
from refresher.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What stands, and what would stand if the definitions were carried out."""

    order: tuple[str, ...]
    """Every managed view after those it would read."""
    graph: Graph
    """Who would read whom."""
    subjects: Mapping[str, Subject]
    """Managed views, and unmanaged ones that read them; each after those it would read."""
    unreadable: Mapping[str, Sequence[Unreadable]]
    """View → relations that it would read and its owner may not."""

    @property
    def desired(self) -> dict[str, RelationFacts]:
        """What managed views would be like."""
        return {
            label: subject.desired
            for label, subject in self.subjects.items()
            if subject.managed and subject.desired is not None
        }

    @property
    def standing(self) -> dict[str, RelationFacts | None]:
        """What stands in the place of managed views."""
        return {
            label: subject.standing for label, subject in self.subjects.items() if subject.managed
        }
