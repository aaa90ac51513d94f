"""Which indexes to create and to drop. Pure."""

from collections.abc import Iterator

from refresher.definitions.model import Subject
from refresher.definitions.naming import BESIDE, is_made_for
from refresher.definitions.step import CreateIndex, DropIndex


def index_steps(subject: Subject, *, prune: bool) -> Iterator[CreateIndex | DropIndex]:
    """What makes the indexes of a view that stays, or is new, the configured ones."""
    desired, standing = subject.desired, subject.standing
    assert desired is not None  # noqa: S101 - the caller made sure
    stand = standing.indexes if standing else {}
    # One that was to take another's place, and did not get to, is not yet the one that is wanted.
    known = {index for name, index in stand.items() if not is_made_for(name, BESIDE)}
    for name, index in desired.indexes.items():
        if index in known or index.primary:
            continue
        known.add(index)
        replaces = name in stand
        reason = f"index {name} ({index.body}) is missing"
        if replaces:
            reason = f"index {name} is {stand[name].body}, not {index.body}"
        yield CreateIndex(
            views=(subject.label,),
            name=name,
            concurrently=standing is not None and standing.populated,
            replaces=replaces,
            why=(reason,),
            bytes=standing.bytes if standing else 0,
        )
    if prune:
        for name in extra_indexes(subject):
            yield DropIndex(
                views=(subject.label,), name=name, why=(f"index {name} is not configured",)
            )


def extra_indexes(subject: Subject) -> list[str]:
    """Indexes that stand and are not configured."""
    if subject.standing is None or subject.desired is None or not subject.view.refreshed:
        return []
    wanted = set(subject.desired.indexes.values())
    return [
        name
        for name, index in subject.standing.indexes.items()
        if not index.primary
        and name not in subject.desired.indexes
        and (index not in wanted or is_made_for(name, BESIDE))
    ]
