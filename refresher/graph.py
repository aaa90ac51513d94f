"""Who reads whom among managed views. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush

from refresher.errors import PlanError


@dataclass(frozen=True)
class Graph:
    """Views and the managed views each one reads.

    Only `order` minds a cycle; the other answers hold with one too, since PostgreSQL allows views
    that read each other until somebody reads them.
    """

    reads: Mapping[str, frozenset[str]]
    """View → its direct upstreams, those behind plain views that are not managed included."""
    refreshed: frozenset[str]
    """The views that have contents of their own to refresh."""
    unmanaged: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """View → the materialized views it reads that are none of these, by relation; those behind
    plain views that are not managed included."""

    def all_upstreams(self, view: str) -> frozenset[str]:
        """Everything its contents come from."""
        return _reached(view, self.reads)

    def all_downstreams(self, view: str) -> frozenset[str]:
        """Everything that its contents reach."""
        return _reached(view, self._readers)

    def groups(self) -> tuple[frozenset[str], ...]:
        """All views, those that one way or the other lead to each other together."""
        edges = {name: (*read, *self._readers.get(name, ())) for name, read in self.reads.items()}
        found: list[frozenset[str]] = []
        seen: set[str] = set()
        for name in self.reads:
            if name not in seen:
                found.append(_reached(name, edges) | {name})
                seen |= found[-1]
        return tuple(found)

    def refreshed_upstreams(self, view: str) -> tuple[str, ...]:
        """The nearest refreshed views above it, by name: those reached through plain ones only."""
        read = {name for plain in self._seen_through(view) for name in self.reads.get(plain, ())}
        return tuple(sorted((read & self.refreshed) - {view}))

    def unmanaged_upstreams(self, view: str) -> tuple[str, ...]:
        """The nearest materialized views above it that nobody here refreshes, by relation.

        Nothing tells how old their contents are.
        """
        seen = self._seen_through(view)
        return tuple(sorted({name for plain in seen for name in self.unmanaged.get(plain, ())}))

    def _seen_through(self, view: str) -> set[str]:
        """The view itself, and the plain views it reads through plain ones only."""
        seen, waiting = {view}, [view]
        while waiting:
            read = set(self.reads.get(waiting.pop(), ())) - self.refreshed - seen
            seen |= read
            waiting.extend(read)
        return seen

    def order(self, names: Collection[str] | None = None) -> tuple[str, ...]:
        """These views, or all, each after everything it reads; by name where that leaves a choice.

        Raises:
            PlanError: naming the views that read each other, or a name that is none of them.
        """
        if names is None:
            return self._order
        places = self._places
        if unknown := sorted({name for name in names if name not in places}):
            message = f"no such view: {', '.join(unknown)}; the config names the views there are"
            raise PlanError(message)
        return tuple(sorted(set(names), key=places.__getitem__))

    @cached_property
    def _readers(self) -> dict[str, tuple[str, ...]]:
        readers: dict[str, set[str]] = {}
        for reader, read in self.reads.items():
            for name in read:
                readers.setdefault(name, set()).add(reader)
        return {name: tuple(sorted(found)) for name, found in readers.items()}

    @cached_property
    def _places(self) -> dict[str, int]:
        """Each view's place in the order of all, so that a few of many are put in order quickly."""
        return {name: place for place, name in enumerate(self._order)}

    @cached_property
    def _order(self) -> tuple[str, ...]:
        sorter = TopologicalSorter({name: sorted(self.reads[name]) for name in sorted(self.reads)})
        try:
            sorter.prepare()
        except CycleError as error:
            message = f"views that read each other can't be put in order: {_path(error.args[1])}"
            raise PlanError(message) from error
        ordered = []
        ready = list(sorter.get_ready())
        heapify(ready)
        while ready:
            ordered.append(heappop(ready))
            sorter.done(ordered[-1])
            for name in sorter.get_ready():
                heappush(ready, name)
        return tuple(ordered)


def _path(cycle: list[str]) -> str:
    """A cycle as reader → read, from its first name in the alphabet."""
    ring = cycle[:0:-1]
    first = ring.index(min(ring))
    return " → ".join((*ring[first:], *ring[:first], ring[first]))


def _reached(start: str, edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    reached: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(edges.get(name, ()))
    return frozenset(reached)
