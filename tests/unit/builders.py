"""Values for tests: complete records of which a test names only what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from refresher import nominal
from refresher.config.model import Cron, Every, Kind, View
from refresher.errors import FailureReason
from refresher.hours import parse_hours
from refresher.names import RelationName
from refresher.runs import Outcome, Run, Trigger
from refresher.schedule.decision import Facts
from refresher.schedule.upstreams import UpstreamFacts
from refresher.windows import Windows

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ZONES = (
    "UTC",
    "Europe/Amsterdam",
    "America/New_York",
    "America/Santiago",  # put forward at midnight
    "America/Havana",  # put forward at midnight, back at one
    "Africa/Cairo",  # put back at midnight
    "Africa/Casablanca",  # four changes in a year
    "Asia/Kathmandu",  # 5:45 from UTC, no changes
    "Australia/Lord_Howe",  # half an hour
    "Antarctica/Troll",  # two hours
)


def view(name: str = "v", **fields: Any) -> View:
    return View(
        **{
            "name": name,
            "database": "crm",
            "relation": RelationName("public", name),
            "kind": Kind.MATERIALIZED_VIEW,
            "query": "SELECT 1",
            "query_path": Path("v.sql"),
            **fields,
        }
    )


def run(**fields: Any) -> Run:
    """A run that failed on a lock at noon, unless told otherwise."""
    return Run(
        **{
            "id": 1,
            "view": "v",
            "due_at": NOON,
            "trigger": Trigger.SCHEDULE,
            "attempt": 1,
            "started_at": NOON,
            "finished_at": NOON + SECOND,
            "outcome": Outcome.FAILED,
            "failure": FailureReason.LOCK_TIMEOUT,
            "worker": "w",
            **fields,
        }
    )


def facts(**fields: Any) -> Facts:
    """A view that stands, is at rest and was last refreshed an hour before noon."""
    return Facts(
        **{
            "now": NOON,
            "as_of": NOON - HOUR,
            "populated": True,
            "paused": False,
            "running": False,
            "requested_at": None,
            "unsuccessful": (),
            "upstreams": (),
            **fields,
        }
    )


def upstream(name: str = "u", **fields: Any) -> UpstreamFacts:
    """An upstream that was read two hours before noon and has not been refreshed since."""
    return UpstreamFacts(
        **{
            "name": name,
            "as_of": NOON - 2 * HOUR,
            "seen_as_of": NOON - 2 * HOUR,
            "undischarged": None,
            "paused": False,
            **fields,
        }
    )


def moments(first: int = 2017, last: int = 2033) -> st.SearchStrategy[datetime]:
    return st.datetimes(
        datetime(first, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        datetime(last, 1, 1),  # noqa: DTZ001 - the same
        timezones=st.just(UTC),
    )


def crons() -> st.SearchStrategy[Cron]:
    minutes = st.sampled_from(["0", "30", "59", "0,15,45", "*/20", "*"])
    hours = st.sampled_from(["0", "1", "2", "0-3", "3", "2,14", "*/2", "*"])
    days = st.sampled_from(["* * *", "* * 0", "1 * *", "* * 1-5", "13 * 5", "29 2 *", "L * *"])
    return st.builds(
        lambda minute, hour, day, zone, jitter: Cron(
            cron=f"{minute} {hour} {day}", timezone=ZoneInfo(zone), jitter=jitter
        ),
        minutes,
        hours,
        days,
        st.sampled_from(ZONES),
        jitters(),
    )


def everies() -> st.SearchStrategy[Every]:
    periods = st.timedeltas(timedelta(milliseconds=1), timedelta(days=40))
    return st.builds(Every, every=periods, jitter=jitters())


def windowed() -> st.SearchStrategy[Every | Cron]:
    """Schedules that have due instants at some times of the week only."""
    texts = ["mon-fri 06:00-20:00", "22:00-06:00", "sun 00:00-04:00", "sat-sun 00:00-24:00"]
    texts += ["00:00-00:40, 02:30-03:30", "01:00-02:30, mon-wed+sat 12:00-24:00"]
    only = st.builds(
        lambda text, zone: Windows(parse_hours(text), ZoneInfo(zone)),
        st.sampled_from(texts),
        st.sampled_from(ZONES),
    )
    return st.one_of(
        st.builds(
            lambda schedule, only: replace(
                schedule, every=min(schedule.every, only.hours.shortest), only=only
            ),
            everies(),
            only,
        ),
        st.builds(
            lambda schedule, only: replace(schedule, only=replace(only, zone=schedule.timezone)),
            crons().filter(lambda schedule: "29 2" not in schedule.cron),  # looked for over decades
            only,
        ).filter(
            lambda schedule: (
                nominal.of_cron(schedule.cron, schedule.timezone, schedule.only) is not None
            )
        ),
    )


def jitters() -> st.SearchStrategy[timedelta]:
    """None, some, and more than lies between any two instants."""
    return st.one_of(st.just(timedelta()), st.timedeltas(timedelta(), timedelta(hours=30)))
