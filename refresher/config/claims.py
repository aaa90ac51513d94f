"""Names that can be had once: every relation and index of a schema has one of its own."""

from refresher.config.faults import Faults
from refresher.config.model import View
from refresher.config.nodes import Spot
from refresher.names import RelationName


def refuse_shared_names(views: dict[str, View], spots: dict[str, Spot], faults: Faults) -> None:
    """Note relations and indexes that would have the name of another one."""
    claimed: dict[tuple[str, RelationName], Spot] = {}
    for name, view in views.items():
        for relation, where in _wanted(view, spots[name]):
            first = claimed.setdefault((view.database, relation), where)
            if first is not where:
                problem = f"has the name in the database that {first.place()} has; rename one"
                faults.add(where.place(), where.path, problem)
        _refuse_unnamed_twins(view, spots[name], faults)


def _wanted(view: View, spot: Spot) -> list[tuple[RelationName, Spot]]:
    wanted = [(view.relation, spot.below(("relation",)))]
    for position, index in enumerate(view.indexes):
        if index.name is not None:
            name = RelationName(view.relation.schema, index.name)
            wanted.append((name, spot.below(("indexes", position, "name"))))
    return wanted


def _refuse_unnamed_twins(view: View, spot: Spot, faults: Faults) -> None:
    """Indexes are named after their columns, or as expressions, when they have no name."""
    seen: set[tuple[str, ...]] = set()
    for position, index in enumerate(view.indexes):
        if index.name is not None:
            continue
        if index.columns in seen:
            where = spot.below(("indexes", position))
            problem = "would be named like an index before it; give it a name"
            faults.add(where.place(), where.path, problem)
        seen.add(index.columns)
