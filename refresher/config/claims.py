"""Names that can be had once: every relation and index of a schema has one of its own.

And columns that can be filled once, of tables that nothing else here writes.
"""

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
    _refuse_lost_names(views, spots, faults)
    _refuse_shared_columns(views, spots, faults)


def _refuse_shared_columns(views: dict[str, View], spots: dict[str, Spot], faults: Faults) -> None:
    """Two who fill one column would undo each other's work for ever."""
    own = {(view.database, view.relation): spots[name] for name, view in views.items()}
    filled: dict[tuple[str, RelationName, str], Spot] = {}
    for name, view in views.items():
        if view.fills is None:
            continue
        where = spots[name].below(("table",))
        if (view.database, view.fills.table) in own:
            place = own[view.database, view.fills.table].place()
            problem = (
                f"is the view in {place}, whose rows refresher writes already; add to its query"
            )
            faults.add(where.place(), where.path, problem)
        for position, column in enumerate(view.fills.columns):
            here = spots[name].below(("columns", position))
            first = filled.setdefault((view.database, view.fills.table, column), here)
            if first is not here:
                problem = f"is filled by the view in {first.place()}, too; remove one"
                faults.add(here.place(), here.path, problem)


def _wanted(view: View, spot: Spot) -> list[tuple[RelationName, Spot]]:
    wanted = [(view.relation, spot.below(("relation",)))]
    for position, index in enumerate(view.indexes):
        if index.name is not None:
            name = RelationName(view.relation.schema, index.name)
            wanted.append((name, spot.below(("indexes", position, "name"))))
    return wanted


def _refuse_unnamed_twins(view: View, spot: Spot, faults: Faults) -> None:
    """Indexes without a name are named after their columns or definition, or as expressions."""
    seen: set[tuple[object, ...]] = set()
    for position, index in enumerate(view.indexes):
        if index.name is not None:
            continue
        named_after = (*index.columns, index.definition)
        if named_after in seen:
            where = spot.below(("indexes", position))
            problem = "would be named like an index before it; give it a name"
            faults.add(where.place(), where.path, problem)
        seen.add(named_after)


def _refuse_lost_names(views: dict[str, View], spots: dict[str, Spot], faults: Faults) -> None:
    """A name that a view gave up is nobody's, and only one view had it."""
    heirs: dict[tuple[str, str], Spot] = {}
    for name, view in views.items():
        if view.renamed_from is None:
            continue
        where = spots[name].below(("renamed_from",))
        first = heirs.setdefault((view.database, view.renamed_from), where)
        if view.renamed_from in spots:
            problem = f"is the name of the view in {spots[view.renamed_from].place()}; remove one"
            faults.add(where.place(), where.path, problem)
        elif first is not where:
            problem = f"is what {first.place()} was renamed from; keep one"
            faults.add(where.place(), where.path, problem)
