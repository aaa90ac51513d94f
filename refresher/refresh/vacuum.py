"""Whether a view wants to be vacuumed or analysed after its refreshes, from facts. Pure.

`concurrent` leaves a dead row for each one it changes or deletes, `full` none, for it writes all of
them anew. Either way the planner's statistics are those of the contents before.

The limits are those by which autovacuum analyses: 50 rows and a tenth of all. It vacuums at twice
as many dead rows, so where it is on it finds little left to do. Dead rows that somebody's snapshot
still needed the last time don't count again until there are as many more: reading the whole view
again and again would not remove them.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

PAUSE = timedelta(minutes=1)
"""The least time between two of the same, as autovacuum's `autovacuum_naptime`."""

_LEAST_ROWS = 50
_SHARE = 0.1


class Command(StrEnum):
    """What is done."""

    VACUUM = "VACUUM"
    ANALYZE = "ANALYZE"
    BOTH = "VACUUM (ANALYZE)"


@dataclass(frozen=True, slots=True, kw_only=True)
class VacuumFacts:
    """What PostgreSQL has counted in a view's relation."""

    rows: int
    dead_rows: int
    unremovable: int
    """The dead rows that the last VACUUM had to leave."""
    modified: int
    """Rows written since the last ANALYZE."""
    since_vacuum: timedelta | None
    """How long ago the last VACUUM was, autovacuum's included; None if there was none."""
    since_analyze: timedelta | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something is to be done."""

    command: Command
    reason: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """Something would be, but for how recently it was done."""

    wait: timedelta


def decide(facts: VacuumFacts) -> Wanted | NotYet | None:
    """What a view wants; None for nothing."""
    limit = _LEAST_ROWS + _SHARE * facts.rows
    reasons: dict[Command, str] = {}
    waits = []
    if facts.dead_rows - min(facts.unremovable, facts.dead_rows) > limit:
        if (wait := _wait(facts.since_vacuum)) is not None:
            waits.append(wait)
        else:
            total = facts.rows + facts.dead_rows
            reasons[Command.VACUUM] = f"{facts.dead_rows:,} of {total:,} rows are dead"
    if facts.since_analyze is None:
        if facts.rows > _LEAST_ROWS:
            reasons[Command.ANALYZE] = "it was never analysed"
    elif facts.modified > limit:
        if (wait := _wait(facts.since_analyze)) is not None:
            waits.append(wait)
        else:
            reasons[Command.ANALYZE] = f"{facts.modified:,} rows were written since ANALYZE"
    if not reasons:
        return NotYet(min(waits)) if waits else None
    command = next(iter(reasons)) if len(reasons) == 1 else Command.BOTH
    return Wanted(command, "; ".join(reasons.values()))


def _wait(since: timedelta | None) -> timedelta | None:
    return PAUSE - since if since is not None and since < PAUSE else None
