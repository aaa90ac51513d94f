"""pg_cron's schedules as refresher writes them. Pure.

pg_cron reads them with Vixie cron's own code, in the time zone of `cron.timezone`
(github.com/citusdata/pg_cron, src/entry.c and TryParseInterval of src/job_metadata.c).
"""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from refresher.config.crontab import check_cron

_SECONDS = re.compile(r"\s*([0-9]{1,2})\s+seconds?\s*", re.IGNORECASE)
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DAY_OF_MONTH = 2
_FIELDS = 5
_UNIVERSAL = frozenset({"GMT", "UTC", "Etc/UTC", "Etc/GMT"})


def translate(schedule: str, timezone: str | None) -> dict[str, str]:
    """The value of a view's `schedule` that is due when pg_cron runs the job.

    Args:
        schedule: `cron.job.schedule`.
        timezone: `cron.timezone`; None stands for pg_cron's default, GMT.

    Raises:
        ValueError: nothing in refresher means the same; says why.
    """
    if seconds := _SECONDS.fullmatch(schedule):
        return {"every": f"{int(seconds[1])}s"}
    fields = _NICKNAMES.get(schedule.strip(), schedule).split()[:_FIELDS]  # the rest it ignores
    if len(fields) == _FIELDS:
        # Its last day of the month is cronsim's L.
        fields[_DAY_OF_MONTH] = fields[_DAY_OF_MONTH].replace("$", "L")
    cron = check_cron(" ".join(fields))
    zone = timezone or "GMT"
    if zone in _UNIVERSAL:
        return {"cron": cron}
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"pg_cron's time zone {zone!r} is none of the IANA database"
        raise ValueError(message) from error
    return {"cron": cron, "timezone": zone}
