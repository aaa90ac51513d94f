"""Cron expressions against a clock that is watched minute by minute, as cron(8) watches it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given
from hypothesis import strategies as st

from refresher.config.model import Cron
from refresher.cron import Timeline, longest_gap, timeline
from tests.unit.builders import DAY, HOUR, MINUTE, SECOND, ZONES, crons, moments


@dataclass(frozen=True)
class Job:
    """An expression whose matches a test can tell without parsing it."""

    minutes: frozenset[int] | None
    hours: frozenset[int] | None
    day: int | None = None
    weekday: int | None = None

    def __str__(self) -> str:
        days = f"{'*' if self.day is None else self.day} *"
        weekday = "*" if self.weekday is None else self.weekday
        return f"{_field(self.minutes)} {_field(self.hours)} {days} {weekday}"

    @property
    def at_set_times(self) -> bool:
        return self.minutes is not None and self.hours is not None

    def names(self, shown: datetime) -> bool:
        return (
            (self.minutes is None or shown.minute in self.minutes)
            and (self.hours is None or shown.hour in self.hours)
            and (self.day is None or shown.day == self.day)
            and (self.weekday is None or shown.isoweekday() % 7 == self.weekday)
        )


def _field(values: frozenset[int] | None) -> str:
    return "*" if values is None else ",".join(map(str, sorted(values)))


def sets(*values: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.sampled_from(values), min_size=1, max_size=3)


minutes, hours = sets(0, 1, 15, 29, 30, 31, 59), sets(0, 1, 2, 3)
days: st.SearchStrategy[dict[str, int]] = st.one_of(
    st.fixed_dictionaries({}),
    st.fixed_dictionaries({"weekday": st.sampled_from([0, 5, 6])}),
    st.fixed_dictionaries({"day": st.integers(1, 31)}),
)
jobs_at_set_times = st.builds(lambda m, h, day: Job(m, h, **day), minutes, hours, days)
jobs_as_shown = st.builds(
    lambda times, day: Job(*times, **day),
    st.one_of(
        st.tuples(minutes, st.none()), st.tuples(st.none(), hours), st.tuples(st.none(), st.none())
    ),
    days,
)


@lru_cache(maxsize=64)
def clock(zone: ZoneInfo, begin: datetime, length: timedelta) -> list[tuple[datetime, datetime]]:
    """Every minute of a time with what the zone's clock shows then."""
    ticks = [begin + number * MINUTE for number in range(length // MINUTE)]
    return [(tick, tick.astimezone(zone).replace(tzinfo=None, fold=0)) for tick in ticks]


def watch(job: Job, zone: ZoneInfo, begin: datetime, length: timedelta) -> list[datetime]:
    """When cron(8) runs a job."""
    seen = clock(zone, begin, length)
    if not job.at_set_times:
        return [tick for tick, shown in seen if job.names(shown)]
    instants = []
    reached = seen[0][1] - MINUTE
    for tick, shown in seen:
        skipped = (reached + n * MINUTE for n in range(1, (shown - reached) // MINUTE + 1))
        if any(map(job.names, skipped)):
            instants.append(tick)
        reached = max(reached, shown)
    return instants


@lru_cache
def changes(zone: str) -> tuple[datetime, ...]:
    """The half days of some years in which the zone's clock is put forward or back."""
    begin = datetime(2018, 1, 1, tzinfo=UTC)
    ticks = [begin + number * 12 * HOUR for number in range(2 * 365 * 12)]
    offsets = [tick.astimezone(ZoneInfo(zone)).utcoffset() for tick in ticks]
    return tuple(tick for tick, (a, b) in zip(ticks, pairwise(offsets), strict=False) if a != b)


def line_of(expression: str, zone: str) -> Timeline:
    line = timeline(expression, ZoneInfo(zone))
    assert line is not None
    return line


def between(line: Timeline, begin: datetime, end: datetime) -> Iterator[datetime]:
    return takewhile(lambda instant: instant < end, line.after(begin - SECOND))


@pytest.mark.parametrize("zone", ZONES)
@given(data=st.data(), job=st.one_of(jobs_at_set_times, jobs_as_shown))
def test_a_change_of_the_clock_is_met_as_cron_meets_it(
    zone: str, data: st.DataObject, job: Job
) -> None:
    change = data.draw(st.sampled_from(changes(zone) or (datetime(2024, 5, 5, tzinfo=UTC),)))
    warm, begin, end = change - 36 * HOUR, change - 24 * HOUR, change + 36 * HOUR
    expected = [at for at in watch(job, ZoneInfo(zone), warm, end - warm) if at >= begin]
    line = line_of(str(job), zone)
    assert list(between(line, begin, end)) == expected

    at = begin + data.draw(st.timedeltas(timedelta(), end - begin - SECOND))
    around = line.around(at)
    assert around is not None
    assert around.latest == max((e for e in expected if e <= at), default=around.latest)
    assert around.next == min((e for e in expected if e > at), default=around.next)
    assert around.latest <= at < around.next == next(line.after(at))


@given(job=jobs_at_set_times, zone=st.sampled_from(ZONES), begin=moments())
@example(Job(frozenset({30}), frozenset({2})), "Europe/Amsterdam", datetime(2017, 1, 1, tzinfo=UTC))
def test_over_years_set_times_are_those_of_cronsim(job: Job, zone: str, begin: datetime) -> None:
    named = (at.astimezone(UTC) for at in CronSim(str(job), begin.astimezone(ZoneInfo(zone))))
    # From within a repeated hour cronsim starts over.
    expected = islice((at for at in named if at > begin), 300)
    assert list(islice(line_of(str(job), zone).after(begin), 300)) == list(expected)


@given(schedule=crons(), at=moments())
def test_neighbours_surround_a_moment_and_nothing_is_between_them(
    schedule: Cron, at: datetime
) -> None:
    line = Timeline(schedule.cron, schedule.timezone)
    around = line.around(at)
    assert around is not None
    assert around.before < around.latest <= at < around.next < around.following
    assert list(islice(line.after(around.before), 3)) == list(around[1:])


@given(schedule=crons(), start=moments(), steps=st.lists(st.integers(-3, 6), max_size=8))
def test_an_answer_does_not_depend_on_what_was_asked_before(
    schedule: Cron, start: datetime, steps: list[int]
) -> None:
    line, at = Timeline(schedule.cron, schedule.timezone), start
    for step in steps:
        at += step * 11 * HOUR
        assert line.around(at) == Timeline(schedule.cron, schedule.timezone).around(at)


def local(expression: str, zone: str, begin: str, number: int) -> list[str]:
    start = datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(zone))
    instants = islice(line_of(expression, zone).after(start - SECOND), number)
    return [f"{at.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for at in instants]


@pytest.mark.parametrize(
    ("expression", "zone", "begin", "expected"),
    [
        # put forward: what is skipped runs at once, and once
        ("30 2 * * *", "Europe/Amsterdam", "2025-03-29", ["29 02:30 +0100", "30 03:00 +0200"]),
        ("0,30 2 * * *", "Europe/Amsterdam", "2025-03-30", ["30 03:00 +0200", "31 02:00 +0200"]),
        ("0 2,3 * * *", "Europe/Amsterdam", "2025-03-30", ["30 03:00 +0200", "31 02:00 +0200"]),
        ("30 0 * * 0", "America/Santiago", "2025-09-06", ["07 01:00 -0300", "14 00:30 -0300"]),
        # put back: what is repeated runs the first time
        ("30 2 * * *", "Europe/Amsterdam", "2025-10-26", ["26 02:30 +0200", "27 02:30 +0100"]),
        # a star follows the clock: skipped, and repeated
        (
            "30 * * * *",
            "Europe/Amsterdam",
            "2025-03-30T01:00",
            ["30 01:30 +0100", "30 03:30 +0200"],
        ),
        (
            "30 * * * *",
            "Europe/Amsterdam",
            "2025-10-26T02:00",
            ["26 02:30 +0200", "26 02:30 +0100"],
        ),
        # where cronsim's own answers depend on where it began
        ("*/20 2 * * *", "Australia/Lord_Howe", "2025-04-06", ["06 02:00 +1030", "06 02:20 +1030"]),
        ("*/30 0 * * 0", "America/Santiago", "2025-09-06", ["14 00:00 -0300", "14 00:30 -0300"]),
    ],
)
def test_a_change_of_the_clock_by_example(
    expression: str, zone: str, begin: str, expected: list[str]
) -> None:
    assert local(expression, zone, begin, 2) == expected


def test_within_a_repeated_hour_set_times_are_over() -> None:
    at = datetime(2025, 10, 26, 2, 10, fold=1, tzinfo=ZoneInfo("Europe/Amsterdam"))
    line = line_of("30 2 * * *", "Europe/Amsterdam")
    around = line.around(at)
    assert around is not None
    assert around.latest == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert around.next == next(line.after(at)) == datetime(2025, 10, 27, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("expression", ["0 0 31 2 *", "* * */20 * 1L", "no cron at all"])
def test_what_never_matches_has_no_timeline_and_no_gap(expression: str) -> None:
    assert timeline(expression, ZoneInfo("Europe/Amsterdam")) is None
    assert longest_gap(expression, ZoneInfo("Europe/Amsterdam")) is None


@pytest.mark.parametrize(
    ("expression", "zone", "gap"),
    [
        ("* * * * *", "Europe/Amsterdam", MINUTE),
        ("*/5 * * * *", "UTC", 5 * MINUTE),
        ("0 3 * * *", "UTC", DAY),
        ("0 3 * * *", "Europe/Amsterdam", DAY + HOUR),
        ("0 9-17 * * 1-5", "UTC", 2 * DAY + 16 * HOUR),
        ("0 */2 * * *", "Europe/Amsterdam", 3 * HOUR),
        ("0 0 1 * *", "UTC", 31 * DAY),
        ("0 0 29 2 *", "UTC", 1461 * DAY),
        ("0 0 * 2 MON#5", "UTC", 28 * 365 * DAY + 7 * DAY),
    ],
)
def test_the_longest_gap_is_known(expression: str, zone: str, gap: timedelta) -> None:
    assert longest_gap(expression, ZoneInfo(zone)) == gap


@given(schedule=crons(), begin=moments(2024, 2033))
def test_no_gap_is_longer_than_the_longest(schedule: Cron, begin: datetime) -> None:
    longest = longest_gap(schedule.cron, schedule.timezone)
    assert longest is not None
    line = Timeline(schedule.cron, schedule.timezone)
    # 2100 has no leap day: nobody waits for what a longest gap says of then.
    instants = islice(between(line, begin, datetime(2096, 3, 1, tzinfo=UTC)), 500)
    assert max(later - sooner for sooner, later in pairwise(instants)) <= longest


@given(zone=st.sampled_from(ZONES), job=st.one_of(jobs_at_set_times, jobs_as_shown))
def test_no_gap_across_a_change_is_longer_than_the_longest(zone: str, job: Job) -> None:
    line, longest = line_of(str(job), zone), longest_gap(str(job), ZoneInfo(zone))
    assert longest is not None
    for change in (change for change in changes(zone) if change.year >= 2024):
        around = line.around(change)
        assert around is not None
        assert around.following - around.next <= longest
        assert around.next - around.latest <= longest
