"""In which order views get their definitions, and in which they are tried. Pure.

A plain view, to be created or replaced, needs what it reads directly. What is filled needs more:
every view that its contents come through must have its definition. What stands as it should
needs nothing, and nobody waits for it; contents that stand are brought up to date at the end.

So there is no circle: what lies between two views that are exchanged is exchanged with them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from refresher.definitions.affected import (
    Exchange,
    is_changed,
    is_replaced,
    read_through,
)
from refresher.definitions.model import Subject
from refresher.definitions.shadow import mentions


def in_order(
    subjects: Mapping[str, Subject], exchanges: Sequence[Exchange]
) -> Iterator[Exchange | str]:
    """Exchanges and all other views by label, each after everything it needs."""
    member = {
        label: number
        for number, exchange in enumerate(exchanges)
        for label in exchange.beside | exchange.repointed | exchange.broken
    }
    nodes: dict[int | str, set[int | str]] = {}
    for label, subject in subjects.items():
        node = member.get(label, label)
        needed = {member.get(need, need) for need in _needs(subjects, subject, member)}
        nodes.setdefault(node, set()).update(needed - {node})
    for number, exchange in enumerate(exchanges):
        nodes[number] |= released(subjects, exchange)
    # Sorted, so that a plan is the same whenever it is made.
    ordered = {node: sorted(needed, key=str) for node, needed in nodes.items()}
    for node in TopologicalSorter(ordered).static_order():
        yield exchanges[node] if isinstance(node, int) else node


def released(subjects: Mapping[str, Subject], exchange: Exchange) -> frozenset[str]:
    """Views that read what goes, and are replaced before, since they come to read none of it."""
    going = exchange.beside | exchange.broken
    return frozenset(
        label
        for label, subject in subjects.items()
        if subject.read & going and is_replaced(subject) and label not in going | exchange.repointed
    )


def _needs(
    subjects: Mapping[str, Subject], subject: Subject, exchanged: Collection[str]
) -> frozenset[str]:
    needed = {
        read
        for read in subject.reads
        if read in exchanged or subjects[read].standing is None or is_changed(subjects[read])
    }
    desired = subject.desired
    is_filled = desired is not None and (desired.has_contents or subject.view.fills is not None)
    return frozenset(needed) | (read_through(subjects, [subject.label]) if is_filled else set())


def likely_order(subjects: Mapping[str, Subject]) -> list[str]:
    """An order that is right where names mean what they seem to; any will do, but takes longer."""
    by_name: dict[str, set[str]] = {}
    for label, subject in subjects.items():
        by_name.setdefault(subject.view.relation.name, set()).add(label)
    reads = {
        label: {read for name in mentions(subject.view.query) for read in by_name.get(name, ())}
        - {label}
        for label, subject in subjects.items()
    }
    # Sorted, so that a plan is the same whenever it is made.
    ordered = {label: sorted(read) for label, read in reads.items()}
    try:
        return list(TopologicalSorter(ordered).static_order())
    except CycleError:
        return list(subjects)
