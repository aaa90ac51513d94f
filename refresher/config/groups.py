"""Views that are refreshed together: what they must have in common."""

from collections.abc import Mapping

from refresher.config.faults import Faults
from refresher.config.model import View
from refresher.config.nodes import Spot


def grouped(views: Mapping[str, View]) -> dict[str, list[View]]:
    """The views of each group; those without one are in none."""
    groups: dict[str, list[View]] = {}
    for view in views.values():
        if view.group is not None:
            groups.setdefault(view.group, []).append(view)
    return groups


def refuse_split_groups(views: dict[str, View], spots: dict[str, Spot], faults: Faults) -> None:
    """Note views of one group that can't be due together, or not share a transaction."""
    first: dict[str, View] = {}
    for name, view in views.items():
        if view.group is None or not view.refreshed:
            continue
        other = first.setdefault(view.group, view)
        where = spots[name].below(("group",))
        place = spots[other.name].place()
        if view.database != other.database:
            problem = f"is also the group of the view in {place}, in another database; rename one"
            faults.add(where.place(), where.path, problem)
        elif view.schedule != other.schedule:
            problem = f"is also the group of the view in {place}; give both the same schedule"
            faults.add(where.place(), where.path, problem)
