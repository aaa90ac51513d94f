"""Who goes first when more is due than there are free slots. Pure.

Every view that is due has a deadline, and the earliest deadline goes first:

    deadline = data_as_of + limit, but not before `since`, nor later than `since` + PATIENCE

`since` is when the view could have begun, so the deadline is a moment that stands still while the
view waits. Within PATIENCE whoever is nearest its limit goes first. Nothing starves: nobody who
could begin more than PATIENCE later goes before a view, and whoever was served begins anew. That
is why a limit that was passed long ago counts no more than one that is passed now: a view whose
contents stay old, because what it reads is old or it always fails, must not go first for ever.

A view of which nobody knows how old it is, and one that somebody asked for, have their deadline at
once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from refresher.config.model import Cron, Every, View
from refresher.runs import Trigger
from refresher.schedule.aims import Aim
from refresher.schedule.decision import Due, Facts
from refresher.schedule.due import undischarged

PATIENCE = timedelta(minutes=5)
"""The most by which a view goes before others that could begin earlier."""


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """A view's place in the line; the smallest goes first."""

    deadline: datetime
    since: datetime
    view: str


def turn(
    view: str,
    due: Due,
    *,
    since: datetime,
    data_as_of: datetime | None,
    limit: timedelta | None,
) -> Turn:
    """The place of a view that is due.

    Args:
        view: its name.
        due: what it is due for.
        since: when it could have begun.
        data_as_of: of the contents it has; None if unknown.
        limit: the staleness it should stay below; None if there is none.
    """
    if data_as_of is None or due.trigger is Trigger.MANUAL:
        return Turn(since, since, view)
    latest = since + PATIENCE
    wanted = latest if limit is None else data_as_of + limit
    return Turn(min(max(wanted, since), latest), since, view)


def limits(
    max_staleness: Mapping[str, timedelta | None], aims: Mapping[str, Aim]
) -> dict[str, timedelta | None]:
    """The staleness each view should stay below: what a target lag asks for, or its limit."""
    return {
        name: limit if name not in aims else min(aims[name].lag, limit or aims[name].lag)
        for name, limit in max_staleness.items()
    }


def waits_since(view: View, facts: Facts, due: Due) -> datetime:
    """Since when a view that is due could have begun, for its oldest instant and not its newest.

    An instant that passes while a view waits takes nothing from its waiting. Of `after: upstream`
    nobody knows how often an upstream was refreshed meanwhile; there it is the newest time.
    """
    if due.attempt > 1 or not isinstance(view.schedule, Every | Cron):
        return due.ready_at
    oldest = min(undischarged(view, facts) or due.ready_at, due.ready_at)
    ended = [run.finished_at for run in facts.unsuccessful if run.finished_at is not None]
    return max([oldest, *ended])
