"""Windows of the week against a clock that is watched minute by minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refresher.hours import DAYS, parse_hours
from refresher.windows import Windows, longest_closed
from tests.unit.builders import DAY, HOUR, MINUTE, ZONES, moments

JUST = timedelta.resolution


@dataclass(frozen=True)
class Window:
    """A window whose hours a test can tell without parsing it."""

    days: frozenset[int]
    begin: int
    end: int

    def __str__(self) -> str:
        days = "+".join(DAYS[day] for day in sorted(self.days))
        times = "-".join(f"{time // 60:02}:{time % 60:02}" for time in (self.begin, self.end))
        return f"{days} {times}" if days else times

    def holds(self, shown: datetime) -> bool:
        time = shown.hour * 60 + shown.minute
        today, yesterday = (
            not self.days or day % 7 in self.days for day in (shown.weekday(), shown.weekday() - 1)
        )
        if self.begin < self.end:
            return today and self.begin <= time < self.end
        return (today and time >= self.begin) or (yesterday and time < self.end)


times = st.sampled_from([0, 1, 59, 60, 90, 120, 150, 180, 181, 360, 1200, 1380, 1439])
windows = st.builds(
    Window, st.frozensets(st.integers(0, 6), max_size=4), times, times | st.just(1440)
).filter(lambda window: window.begin != window.end)
weeks = st.lists(windows, min_size=1, max_size=3)
zones = st.sampled_from(ZONES)


def of(text: str, zone: str = "UTC") -> Windows:
    return Windows(parse_hours(text), ZoneInfo(zone))


def within(week: list[Window], zone: str) -> Windows:
    return of(", ".join(map(str, week)), zone)


@lru_cache(maxsize=32)
def clock(zone: str, begin: datetime, length: timedelta) -> list[tuple[datetime, datetime]]:
    """Every minute of a time with what the zone's clock shows then."""
    ticks = [begin + number * MINUTE for number in range(length // MINUTE)]
    return [(tick, tick.astimezone(ZoneInfo(zone))) for tick in ticks]


@lru_cache
def changes(zone: str) -> tuple[datetime, ...]:
    """The days of some years in which the zone's clock is put forward or back."""
    days = [datetime(2024, 1, 1, tzinfo=UTC) + number * DAY for number in range(3 * 365)]
    offsets = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    return tuple(day for day, (a, b) in zip(days, pairwise(offsets), strict=False) if a != b)


@given(data=st.data(), week=weeks, zone=zones)
def test_what_the_clock_shows_decides(data: st.DataObject, week: list[Window], zone: str) -> None:
    change = data.draw(st.sampled_from(changes(zone) or (datetime(2024, 12, 28, tzinfo=UTC),)))
    begin = change - DAY + data.draw(st.sampled_from([-7, 0, 1])) * DAY
    seen = [
        (tick, any(window.holds(shown) for window in week))
        for tick, shown in clock(zone, begin, 3 * DAY)
    ]
    only = within(week, zone)
    assert [tick for tick, _ in seen if only.contains(tick)] == [tick for tick, on in seen if on]

    number = data.draw(st.integers(0, len(seen) - 1))
    at = seen[number][0]
    opens = next((tick for tick, on in seen[number:] if on), None)
    closes = next((tick for tick, on in seen[number:] if not on), None)
    following, closing = only.next_open(at), only.next_close(at)
    assert following == opens if opens else following >= seen[-1][0]
    assert closing == closes if closes else closing is None or closing >= seen[-1][0]

    edges = [tick for (_, before), (tick, on) in pairwise(seen[: number + 1]) if before != on]
    since = only.open_since(at) if seen[number][1] else only.closed_since(at)
    assert since == edges[-1] if edges else since is None or since <= seen[0][0]


@given(week=weeks, zone=zones, at=moments(2020, 2033))
def test_any_moment_finds_the_same_edges(week: list[Window], zone: str, at: datetime) -> None:
    only = within(week, zone)
    opening = only.next_open(at)
    assert opening >= at
    assert only.contains(opening)
    assert (opening == at) == only.contains(at)
    close = only.next_close(opening)
    assume(close is not None)
    assert close is not None
    assert opening < close
    assert not only.contains(close)
    assert only.contains(close - JUST)
    assert only.closed_since(close) == close
    assert only.next_close(close) == close
    if opening > at:
        assert not only.contains(opening - JUST)
        assert only.open_since(opening) == opening
        assert only.open_since(at) is None
    else:
        assert only.closed_since(at) is None
        began = only.open_since(at)
        assert began is not None
        assert only.next_open(began) == began <= at


@given(week=weeks, zone=zones, begin=moments(2024, 2050), length=st.timedeltas(-DAY, 30 * DAY))
def test_openings_are_the_parts_of_a_time_in_windows(
    week: list[Window], zone: str, begin: datetime, length: timedelta
) -> None:
    only, end = within(week, zone), begin + length
    openings = list(only.openings(begin, end))
    moments = [moment for opening in openings for moment in opening]
    assert moments == sorted(moments)
    assert all(begin < moment <= end and only.contains(moment) for moment in moments)
    between = [begin, *moments, end]
    for after, until in zip(between[::2], between[1::2], strict=True):
        if until - after > JUST:
            assert only.closed_since(after + JUST) is not None
            assert only.next_open(after + JUST) >= until


@given(week=weeks, zone=zones, begin=moments(2024, 2050))
def test_nothing_is_closed_for_longer_than_the_longest(
    week: list[Window], zone: str, begin: datetime
) -> None:
    only = within(week, zone)
    longest = longest_closed(only)
    assert longest is not None
    openings = list(only.openings(begin, begin + 30 * DAY))
    gaps = [later[0] - sooner[1] - JUST for sooner, later in pairwise(openings)]
    assert max(gaps, default=timedelta()) <= longest


@pytest.mark.parametrize(
    ("text", "zone", "closed"),
    [
        ("mon-fri 06:00-20:00", "UTC", 58 * HOUR),
        ("mon-fri 06:00-20:00", "Europe/Amsterdam", 59 * HOUR),
        ("mon-fri 06:00-20:00, sat 08:00-12:00", "UTC", 42 * HOUR),
        ("00:00-24:00", "Europe/Amsterdam", timedelta()),
        ("22:00-06:00", "UTC", 16 * HOUR),
        ("fri 22:00-06:00", "UTC", 7 * DAY - 8 * HOUR),
        # Once a year the clock skips it.
        ("02:00-03:00", "Europe/Amsterdam", 46 * HOUR),
        ("sun 02:00-03:00", "Europe/Amsterdam", 14 * DAY - 2 * HOUR),
    ],
)
def test_the_longest_closed_time(text: str, zone: str, closed: timedelta) -> None:
    assert longest_closed(of(text, zone)) == closed


def test_windows_that_are_too_short_count_as_closed() -> None:
    only = of("mon-fri 06:00-20:00, sat 08:00-12:00")
    assert longest_closed(only, 4 * HOUR) == 42 * HOUR
    assert longest_closed(only, 5 * HOUR) == 58 * HOUR
    assert longest_closed(only, 15 * HOUR) is None


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("mon-fri 06:00-20:00, sat 08:00-12:00", 4 * HOUR),
        ("22:00-06:00", 8 * HOUR),
        ("sun 22:00-24:00, mon 00:00-06:00", 8 * HOUR),
        ("sat-sun 00:00-24:00", 48 * HOUR),
        ("mon-sun 00:00-24:00", timedelta.max),
    ],
)
def test_the_shortest_time_they_are_open(text: str, shortest: timedelta) -> None:
    assert parse_hours(text).shortest == shortest


@pytest.mark.parametrize(
    ("written", "other"),
    [
        ("06:00-20:00", "mon-sun 06:00-20:00"),
        ("fri-mon 06:00-20:00", "mon+fri+sat+sun 06:00-20:00"),
        ("sun-mon+wed 06:00-20:00", "wed+mon+sun 06:00-20:00"),
        ("sun 22:00-06:00", "sun 22:00-24:00, mon 00:00-06:00"),
        ("mon 20:00-00:00", "mon 20:00-24:00"),
        ("mon 06:00-09:00, mon 08:00-12:00", "mon 06:00-12:00"),
        ("mon - fri  6:00 - 20:00", "mon-fri 06:00-20:00"),
        ("mon-mon 06:00-20:00", "mon 06:00-20:00"),
    ],
)
def test_the_same_hours_in_other_words(written: str, other: str) -> None:
    assert parse_hours(written).spans == parse_hours(other).spans


def test_an_overnight_window_belongs_to_the_day_it_begins() -> None:
    only = of("fri 22:00-06:00")
    saturday = datetime(2026, 11, 21, tzinfo=UTC)
    assert only.contains(saturday + 5 * HOUR + 59 * MINUTE)
    assert not only.contains(saturday + 6 * HOUR)
    assert not only.contains(saturday + 22 * HOUR)


def test_they_are_told_as_they_are_written() -> None:
    assert str(of("mon-fri 6:00-20:00,sat 08:00 - 12:00")) == (
        "mon-fri 06:00-20:00, sat 08:00-12:00"
    )


@given(text=st.text(st.sampled_from("montuefri0129:-+, 46"), max_size=40) | st.text(max_size=20))
def test_whatever_is_written_is_read_or_refused_with_advice(text: str) -> None:
    try:
        hours = parse_hours(text)
    except ValueError as error:
        advice = str(error)
    else:
        advice = "none to write"
        assert parse_hours(hours.text) == hours
    assert "write" in advice
