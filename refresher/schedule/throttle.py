"""Whether a database has too much to do for scheduled refreshes to begin, from facts. Pure.

A throttle delays what a schedule or an upstream makes due, retries included. It does not touch what
is at work, what somebody asked for by hand, nor the first fill of a view, which nobody can read
until then. A view that is delayed stays due, and begins as soon as the database has time.

What can't be seen does not throttle: a guess would hold all views for ever. What is seen of it may
be enough, though, to know that a limit is exceeded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from refresher.config.model import Throttle
from refresher.durations import format_duration
from refresher.runs import Trigger
from refresher.schedule.decision import Decision, Due, Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much a database has to do, as far as refresher may see it."""

    replication_lag: timedelta
    """How long ago what the slowest connected standby replays now was committed; none if idle."""
    active_connections: int
    """Sessions that run a statement, of all databases, refresher's own apart."""
    oldest_transaction: timedelta
    """The age of the oldest transaction in this database, refresher's own apart."""
    sees_replication: bool
    """Whether the lag of standbys could be seen."""
    sees_sessions: bool
    """Whether everybody's sessions could be seen."""


def exceeded(throttle: Throttle, load: Load) -> str | None:
    """Which limits are exceeded, and by how much, in words; None if there is room."""
    return "; ".join(_exceeded(throttle, load)) or None


def unseen(throttle: Throttle, load: Load) -> tuple[str, ...]:
    """Those keys of a throttle that can't be trusted, as what they limit can't all be seen."""
    sees = {
        "replication_lag": load.sees_replication,
        "active_connections": load.sees_sessions,
        "oldest_transaction": load.sees_sessions,
    }
    return tuple(name for name in throttle.keys if not sees[name])


def delayed(decision: Decision, *, populated: bool, reason: str | None) -> Decision:
    """The decision about a view while limits are exceeded for this reason; None for none."""
    if (
        reason is None
        or not populated
        or not isinstance(decision, Due)
        or decision.trigger is Trigger.MANUAL
    ):
        return decision
    return Waiting(f"throttled: {reason}")


def _exceeded(throttle: Throttle, load: Load) -> Iterator[str]:
    limit = throttle.replication_lag
    if limit is not None and load.replication_lag > limit:
        lag = format_duration(load.replication_lag)
        yield f"replication lag {lag} over {format_duration(limit)}"
    most = throttle.active_connections
    if most is not None and load.active_connections > most:
        yield f"{load.active_connections:,} active connections over {most:,}"
    limit = throttle.oldest_transaction
    if limit is not None and load.oldest_transaction > limit:
        age = format_duration(load.oldest_transaction)
        yield f"oldest transaction {age} over {format_duration(limit)}"
