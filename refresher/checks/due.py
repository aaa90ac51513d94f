"""When a plain view's checks are judged: every so often, by whichever replica. Pure."""

from datetime import datetime, timedelta


def due_in(
    every: timedelta, judged_at: datetime | None, *, now: datetime, since: datetime
) -> timedelta:
    """How long it takes until a view's checks are to be judged; nothing if they are due.

    Args:
        every: how often they are.
        judged_at: when they were last, whoever did it; None if they never were.
        now: the time, by the clock that gave the others.
        since: what was judged before counts for nothing: it may have been other checks.
    """
    if judged_at is None or judged_at < since:
        return timedelta()
    return max(timedelta(), judged_at + every - now)
