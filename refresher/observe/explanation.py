"""Why a view is as stale as it is: which contents make it so, and why those are so old. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from refresher.catalog.tables import Table
from refresher.freshness import Distrust
from refresher.graph import Graph
from refresher.observe.model import DatabaseSnapshot, ViewSnapshot


class Cause(StrEnum):
    """What makes a view so old, or its age unknown."""

    LIVE = "live"
    """Nothing: it reads base tables as they are."""
    OWN = "own"
    """Its own last refresh; nothing that it read was older."""
    UPSTREAM = "upstream"
    """One above it, which has not been refreshed since."""
    NOT_READ_YET = "not_read_yet"
    """One above it, which has been refreshed since; nobody in between has read that yet."""
    UNMANAGED = "unmanaged"
    """Somebody reads a materialized view that the configuration does not name."""
    MISSING = "missing"
    """Nothing, or something of another kind, stands under its name."""
    EMPTY = "empty"
    """It was never populated."""
    FOREIGN = "foreign"
    """What is in it is not refresher's."""
    LINEAGE = "lineage"
    """It was refreshed on another server: before a restore or a failover."""
    CLOCK = "clock"
    """It was refreshed in the future: the clock was put back since."""
    WAS_UNKNOWN = "was_unknown"
    """Something above it, whose age was unknown when it was read, and is known now."""
    NOT_RECORDED = "not_recorded"
    """Something above it; an earlier version of refresher has not recorded what."""
    FORGOTTEN = "forgotten"
    """One above it, which is not configured any more."""


@dataclass(frozen=True, slots=True)
class Link:
    """One managed view that contents come from, the view itself included."""

    snapshot: ViewSnapshot
    reads: tuple[str, ...]
    """The managed views it reads, by name."""
    tables: tuple[Table, ...]
    unmanaged: tuple[str, ...]
    """The materialized views it reads that nobody here refreshes, by relation."""
    read: Mapping[str, datetime | None]
    """Its nearest refreshed upstreams → the as_of its contents were read at, None if unknown; empty
    where nothing is recorded, and of a plain view."""

    @property
    def name(self) -> str:
        """The view's name."""
        return self.snapshot.view.name


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a view is as stale as it is."""

    links: Mapping[str, Link]
    """Everything its contents come from, by name; the view itself first."""
    path: tuple[str, ...]
    """From the view down to the oldest link."""
    cause: Cause
    unmanaged: tuple[str, ...]
    """The materialized views that nobody here refreshes and the oldest link reads, by relation."""

    @property
    def view(self) -> Link:
        """The view itself."""
        return self.links[self.path[0]]

    @property
    def reader(self) -> str:
        """Who reads the oldest link, by name; the view itself if that is the oldest."""
        return self.path[max(0, len(self.path) - 2)]

    @property
    def oldest(self) -> Link | None:
        """What makes it so old, where that is still configured."""
        return self.links.get(self.path[-1])


def explain(
    view: str, snapshot: DatabaseSnapshot, graph: Graph, tables: Mapping[str, tuple[Table, ...]]
) -> Explanation:
    """Explain a view's staleness, from what was read of its database.

    Args:
        view: its name.
        snapshot: with every view of the database.
        graph: who reads whom.
        tables: view → the tables it reads; one that does not stand may be left out.
    """
    names = (view, *sorted(graph.all_upstreams(view) - {view}))
    links = {
        name: Link(
            snapshot=snapshot.views[name],
            reads=tuple(sorted(graph.reads.get(name, ()))),
            tables=tables.get(name, ()),
            unmanaged=tuple(sorted(graph.unmanaged.get(name, ()))),
            read=_read(snapshot.views[name], graph),
        )
        for name in names
    }
    path = snapshot.views[view].oldest
    return Explanation(
        links=links,
        path=path,
        cause=_cause(links[view], links.get(path[-1]), graph),
        unmanaged=graph.unmanaged_upstreams(path[-1]),
    )


def _read(snapshot: ViewSnapshot, graph: Graph) -> dict[str, datetime | None]:
    seen = snapshot.stored.upstreams_seen
    return {
        name: seen[name]
        for name in graph.refreshed_upstreams(snapshot.view.name)
        if snapshot.stored.as_of is not None and name in seen
    }


def _cause(view: Link, oldest: Link | None, graph: Graph) -> Cause:
    data_as_of = view.snapshot.fixed_data_as_of
    if view.snapshot.live:
        return Cause.LIVE
    if oldest is None:
        return Cause.FORGOTTEN
    if data_as_of is None:
        return _why_unknown(oldest, graph)
    as_of = oldest.snapshot.stored.as_of
    if oldest is view:
        return Cause.OWN if as_of == data_as_of else Cause.NOT_RECORDED
    return Cause.NOT_READ_YET if as_of is not None and as_of > data_as_of else Cause.UPSTREAM


def _why_unknown(oldest: Link, graph: Graph) -> Cause:
    stored = oldest.snapshot.stored
    if oldest.snapshot.missing:
        return Cause.MISSING
    if graph.unmanaged_upstreams(oldest.name):
        return Cause.UNMANAGED
    if oldest.snapshot.view.refreshed and stored.as_of is None:
        return _why_untold(oldest)
    return Cause.WAS_UNKNOWN


def _why_untold(oldest: Link) -> Cause:
    stored = oldest.snapshot.stored
    if not stored.populated:
        return Cause.EMPTY
    match stored.distrust:
        case Distrust.LINEAGE:
            return Cause.LINEAGE
        case Distrust.CLOCK:
            return Cause.CLOCK
        case None:
            return Cause.FOREIGN
