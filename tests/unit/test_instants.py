from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from refresher.config.model import AfterUpstream, Cron, Every, Manual, Schedule
from refresher.freshness import longest_gap
from refresher.hours import parse_hours
from refresher.schedule.instants import count, jitter_of, latest, next_after
from refresher.windows import Windows
from tests.unit.builders import DAY, HOUR, MINUTE, NOON, SECOND, crons, everies, moments, windowed

schedules: st.SearchStrategy[Schedule] = st.one_of(everies(), crons(), windowed())
names = st.sampled_from(["customer_sources", "v", "ü"])


def walk(schedule: Schedule, view: str, begin: datetime, number: int) -> list[datetime]:
    found: list[datetime] = []
    for _ in range(number):
        instant = next_after(schedule, view, found[-1] if found else begin)
        assert instant is not None
        found.append(instant)
    return found


@given(schedule=schedules, view=names, now=moments())
def test_the_newest_and_the_next_instant_lie_around_now(
    schedule: Schedule, view: str, now: datetime
) -> None:
    newest, following = latest(schedule, view, now), next_after(schedule, view, now)
    assert newest is not None
    assert following is not None
    assert newest <= now < following
    assert next_after(schedule, view, newest) == following
    assert latest(schedule, view, following) == following
    assert latest(schedule, view, following - timedelta(microseconds=1)) == newest


@given(schedule=schedules, view=names, begin=moments(), share=st.floats(0, 1))
def test_any_moment_finds_the_same_instants(
    schedule: Schedule, view: str, begin: datetime, share: float
) -> None:
    instants = walk(schedule, view, begin, 12)
    assert all(sooner < later for sooner, later in pairwise(instants))
    for sooner, later in pairwise(instants):
        between = sooner + (later - sooner) * share
        assert latest(schedule, view, between) == (later if between == later else sooner)


@given(schedule=schedules, view=names, begin=moments(), number=st.integers(0, 30))
def test_as_many_are_counted_as_there_are(
    schedule: Schedule, view: str, begin: datetime, number: int
) -> None:
    instants = walk(schedule, view, begin, number + 1)
    end = instants[number]
    assert count(schedule, view, begin, end) == number + 1
    assert count(schedule, view, begin, end - timedelta(microseconds=1)) == number
    assert count(schedule, view, end, end) == 0
    assert count(schedule, view, end, begin) == 0


@given(schedule=schedules, view=names, times=st.lists(moments(2026, 2028), min_size=3, max_size=3))
def test_counts_add_up(schedule: Schedule, view: str, times: list[datetime]) -> None:
    first, second, third = sorted(times)
    whole = count(schedule, view, first, third, limit=3000)
    assume(whole < 3000)
    assert whole == count(schedule, view, first, second) + count(schedule, view, second, third)


@pytest.mark.parametrize(
    "schedule", [Every(every=SECOND), Cron(cron="* * * * *", timezone=ZoneInfo("UTC"))]
)
def test_counting_ends_at_its_limit(schedule: Schedule) -> None:
    assert count(schedule, "v", NOON - DAY, NOON, limit=100) == 100


@given(schedule=schedules, view=names, now=moments())
def test_jitter_delays_by_less_than_it_says_and_less_than_the_gap(
    schedule: Every | Cron, view: str, now: datetime
) -> None:
    steady = replace(schedule, jitter=timedelta())
    nominal = latest(steady, view, now)
    assert nominal is not None
    following = next_after(steady, view, nominal)
    assert following is not None
    instant = latest(schedule, view, following - timedelta(microseconds=1))
    assert instant is not None
    assert nominal <= instant < following
    assert instant - nominal <= schedule.jitter


@given(view=names, instant=moments(), room=st.timedeltas(timedelta(0), DAY))
def test_jitter_stays_in_its_room(view: str, instant: datetime, room: timedelta) -> None:
    assert (
        timedelta()
        <= jitter_of(view, instant, room)
        <= max(room - timedelta.resolution, timedelta())
    )


@given(schedule=windowed(), view=names, begin=moments())
def test_instants_outside_the_windows_do_not_exist(
    schedule: Every | Cron, view: str, begin: datetime
) -> None:
    only = schedule.only
    assert only is not None
    assert all(only.contains(instant) for instant in walk(schedule, view, begin, 20))


@given(schedule=windowed(), view=names, begin=moments(2024, 2040))
def test_instants_inside_the_windows_are_those_there_would_be(
    schedule: Every | Cron, view: str, begin: datetime
) -> None:
    schedule = replace(schedule, jitter=timedelta())
    only = schedule.only
    assert only is not None
    instants = walk(schedule, view, begin, 6)
    always = walk(replace(schedule, only=None), view, begin, 300)
    inside = [instant for instant in always if only.contains(instant)]
    assert inside[:6] == instants[: len(inside)]


@settings(max_examples=30)  # each looks at years
@given(schedule=windowed(), view=names, begin=moments(2024, 2050))
def test_no_gap_is_longer_than_the_longest(
    schedule: Every | Cron, view: str, begin: datetime
) -> None:
    longest = longest_gap(schedule)
    assert longest is not None
    # 2100 has no leap day: nobody waits for what a longest gap says of then.
    instants = [at for at in walk(schedule, view, begin, 20) if at.year < 2080]
    assert all(later - sooner <= longest for sooner, later in pairwise(instants))


def test_every_window_has_an_instant() -> None:
    only = Windows(parse_hours("mon-fri 06:00-08:00"), ZoneInfo("Europe/Amsterdam"))
    for number in range(50):
        instants = walk(Every(every=2 * HOUR, jitter=2 * HOUR, only=only), f"v{number}", NOON, 10)
        assert len({instant.date() for instant in instants}) == 10


def test_jitter_spreads_views_evenly() -> None:
    delays = [jitter_of(f"view_{number}", NOON, HOUR) for number in range(1000)]
    for quarter in range(4):
        share = [
            delay
            for delay in delays
            if quarter * 15 * MINUTE <= delay < (quarter + 1) * 15 * MINUTE
        ]
        assert 200 < len(share) < 300


def test_jitter_differs_from_instant_to_instant() -> None:
    assert len({jitter_of("v", NOON + n * HOUR, HOUR) for n in range(24)}) == 24


def test_phases_spread_views_evenly() -> None:
    schedule = Every(every=HOUR)
    instants = [latest(schedule, f"view_{number}", NOON) for number in range(1000)]
    ages = [NOON - instant for instant in instants if instant is not None]
    for quarter in range(4):
        share = [age for age in ages if quarter * 15 * MINUTE <= age < (quarter + 1) * 15 * MINUTE]
        assert 200 < len(share) < 300


def test_every_is_counted_from_the_epoch_plus_a_phase_that_never_changes() -> None:
    # Replicas of two versions work side by side during an upgrade.
    instant = latest(Every(every=7 * MINUTE), "customer_sources", NOON)
    assert instant is not None
    phase = (instant - datetime(1970, 1, 1, tzinfo=UTC)) % (7 * MINUTE)
    assert phase == timedelta(seconds=128, microseconds=776768)
    jitter = jitter_of("customer_sources", NOON, HOUR)
    assert jitter == timedelta(seconds=725, microseconds=618506)


def test_a_moment_may_come_in_any_zone() -> None:
    schedule = Every(every=HOUR)
    there = NOON.astimezone(ZoneInfo("America/New_York"))
    assert latest(schedule, "v", there) == latest(schedule, "v", NOON)
    nightly = Cron(cron="0 3 * * *", timezone=ZoneInfo("Europe/Amsterdam"))
    assert latest(nightly, "v", there) == datetime(2026, 5, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "schedule",
    [
        AfterUpstream(jitter=SECOND),
        Manual(),
        Cron(cron="0 0 31 2 *", timezone=ZoneInfo("UTC")),
        Cron(cron="* * */20 * 1L", timezone=ZoneInfo("Europe/Amsterdam"), jitter=SECOND),
    ],
)
def test_some_schedules_have_no_instants(schedule: Schedule) -> None:
    assert latest(schedule, "v", NOON) is None
    assert next_after(schedule, "v", NOON) is None
    assert count(schedule, "v", NOON - DAY, NOON) == 0
