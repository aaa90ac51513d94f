"""What refreshes usually take, as recorded, and the aims that follow from it."""

from collections.abc import Mapping

from refresher.config.model import View
from refresher.graph import Graph
from refresher.postgres.sessions import Connection
from refresher.schedule.aims import Aim, Infeasible, aims, concerned, infeasible
from refresher.store.state import read_clock, read_usual_durations


def read_aims(connection: Connection, views: Mapping[str, View], graph: Graph) -> dict[str, Aim]:
    """How stale each view may get that has a target lag, or is read by one that has.

    Raises:
        PlanError: if views read each other.
    """
    names = concerned(views, graph)
    if not names:
        return {}
    usual = read_usual_durations(connection, names)
    return aims(views, graph, usual, read_clock(connection))


def read_infeasible(
    connection: Connection, views: Mapping[str, View], graph: Graph
) -> tuple[Infeasible, ...]:
    """The target lags that can't be kept, by what refreshes took so far.

    Raises:
        PlanError: if views read each other.
    """
    names = concerned(views, graph)
    if not names:
        return ()
    return tuple(infeasible(views, graph, read_usual_durations(connection, names)))
