"""Cron expressions as Debian's cron reads them: five fields, judged by cronsim."""

from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

_FIELDS = 5
_SOME_TIME = datetime(2024, 1, 1, tzinfo=UTC)
_MINUTES_A_DAY = 24 * 60


def check_cron(text: str) -> str:
    """Return a cron expression that cronsim understands and that is due some day.

    Raises:
        ValueError: it is not five fields, one of them is wrong, or no day ever matches.
    """
    fields = len(text.split())
    if fields != _FIELDS:
        seconds = "; there is no field for seconds" if fields == _FIELDS + 1 else ""
        message = (
            f"needs five fields, not {fields}: minute hour day-of-month month day-of-week,"
            f" such as 0 3 * * *{seconds}"
        )
        raise ValueError(message)
    try:
        next(CronSim(text, _SOME_TIME))
    except (CronSimError, ValueError) as error:  # ValueError: a number of a thousand digits
        problem = str(error).lower() if isinstance(error, CronSimError) else "bad number"
        message = f"is not a cron expression ({problem}); write one such as 0 3 * * *"
        raise ValueError(message) from error
    except StopIteration as error:
        message = "is never due: no day matches; correct day, month or weekday"
        raise ValueError(message) from error
    return text


def shortest_gap(cron: str) -> timedelta:
    """The least time between two due instants, as if every day matched.

    That makes it a lower bound: an expression for some days only may have longer gaps.
    """
    parsed = CronSim(cron, _SOME_TIME)
    times = sorted(hour * 60 + minute for hour in parsed.hours for minute in parsed.minutes)
    after = [*times[1:], times[0] + _MINUTES_A_DAY]
    return timedelta(minutes=min(b - a for a, b in zip(times, after, strict=True)))
