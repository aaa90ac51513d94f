from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.config.model import AfterUpstream, Cron, Every, Kind, Manual, Schedule, TargetLag
from refresher.freshness import (
    AHEAD,
    LONGEST_PATH,
    SLACK,
    Age,
    Distrust,
    State,
    distrust,
    effective_max_staleness,
    longest_gap,
    plain,
    refreshed,
    staleness,
    state,
)
from refresher.graph import Graph
from refresher.hours import parse_hours
from refresher.schedule import instants
from refresher.windows import Windows
from tests.unit.builders import DAY, HOUR, MINUTE, NOON, crons, everies, moments, view

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def ages(**moments: datetime | None) -> dict[str, Age]:
    return {name: Age(moment, (name, f"below {name}")) for name, moment in moments.items()}


@pytest.mark.parametrize(
    ("upstreams", "expected"),
    [
        ({}, Age(NOON, ("v",))),
        (ages(a=NOON - MINUTE, b=NOON - HOUR), Age(NOON - HOUR, ("v", "b", "below b"))),
        (ages(b=NOON - HOUR, a=NOON - HOUR), Age(NOON - HOUR, ("v", "a", "below a"))),
        (ages(a=NOON), Age(NOON, ("v",))),
        (ages(a=NOON + HOUR), Age(NOON, ("v",))),
        (ages(a=NOON - HOUR, b=None, c=None), Age(None, ("v", "b", "below b"))),
    ],
)
def test_contents_are_as_old_as_the_oldest_they_come_from(
    upstreams: dict[str, Age], expected: Age
) -> None:
    assert refreshed("v", NOON, upstreams) == expected


@pytest.mark.parametrize(
    ("upstreams", "expected"),
    [
        ({}, Age(NOON, ("v",))),
        (ages(a=NOON - MINUTE, b=NOON - HOUR), Age(NOON - HOUR, ("v", "b", "below b"))),
        (ages(a=NOON - HOUR, b=None), Age(None, ("v", "b", "below b"))),
    ],
)
def test_a_plain_view_is_as_old_as_its_oldest_upstream(
    upstreams: dict[str, Age], expected: Age
) -> None:
    assert plain("v", NOON, upstreams) == expected


@pytest.mark.parametrize("upstreams", [{}, ages(a=NOON - HOUR), ages(a=None)])
def test_nothing_tells_how_old_it_is_that_nobody_here_refreshes(upstreams: dict[str, Age]) -> None:
    assert refreshed("v", NOON, upstreams, unmanaged=True) == Age(None, ("v",))
    assert plain("v", NOON, upstreams, unmanaged=True) == Age(None, ("v",))


def test_a_path_without_end_keeps_its_end() -> None:
    long = Age(NOON - HOUR, tuple(f"v{number}" for number in range(LONGEST_PATH)))

    path = refreshed("v", NOON, {"v0": long}).oldest

    assert len(path) == LONGEST_PATH
    assert (path[0], path[-1]) == ("v", f"v{LONGEST_PATH - 1}")
    assert refreshed("v", NOON, {"v": Age(NOON - HOUR, path[1:])}).oldest == path


@pytest.mark.parametrize(
    ("lineage", "here", "as_of", "expected"),
    [
        ("7/00000001", "7/00000001", NOON, None),
        ("7/00000001", "7/00000001", NOON + AHEAD, None),
        ("7/00000001", "7/00000001", NOON + AHEAD + timedelta.resolution, Distrust.CLOCK),
        ("7/00000001", "7/00000002", NOON, Distrust.LINEAGE),
        ("7/00000001", "77/00000001", NOON, Distrust.LINEAGE),
        ("77/00000001", "7/", NOON, Distrust.LINEAGE),
        ("7/00000002", "7/", NOON, None),
        ("7/00000001", "8/00000001", NOON + HOUR, Distrust.LINEAGE),
        (None, None, NOON, None),
        (None, None, NOON + HOUR, Distrust.CLOCK),
        (None, "7/00000001", NOON, Distrust.LINEAGE),
        ("7/00000001", None, NOON, Distrust.LINEAGE),
    ],
)
def test_what_is_recorded_counts_on_the_server_and_the_clock_it_is_of(
    lineage: str | None, here: str | None, as_of: datetime, expected: Distrust | None
) -> None:
    assert distrust(lineage, as_of, here=here, now=NOON) is expected


def test_staleness_is_never_negative_and_may_be_unknown() -> None:
    assert staleness(NOON - MINUTE, NOON) == MINUTE
    assert staleness(NOON + MINUTE, NOON) == timedelta()
    assert staleness(None, NOON) is None


@pytest.mark.parametrize(
    ("age", "target_lag", "max_staleness", "expected"),
    [
        (None, MINUTE, HOUR, State.UNKNOWN),
        (timedelta(), timedelta(), timedelta(), State.FRESH),
        (MINUTE, MINUTE, HOUR, State.FRESH),
        (MINUTE + timedelta.resolution, MINUTE, HOUR, State.LATE),
        (HOUR, MINUTE, HOUR, State.LATE),
        (HOUR + timedelta.resolution, MINUTE, HOUR, State.STALE),
        (DAY, None, None, State.FRESH),
        (DAY, None, HOUR, State.STALE),
        (HOUR, 2 * HOUR, MINUTE, State.STALE),
    ],
)
def test_a_limit_is_exceeded_only_beyond_it(
    age: timedelta | None,
    target_lag: timedelta | None,
    max_staleness: timedelta | None,
    expected: State,
) -> None:
    assert state(age, target_lag, max_staleness) is expected


@pytest.mark.parametrize(
    ("schedule", "gap"),
    [
        (Every(every=HOUR), HOUR),
        (Every(every=HOUR, jitter=MINUTE), HOUR + MINUTE),
        (Cron(cron="0 3 * * *", timezone=AMSTERDAM, jitter=MINUTE), 25 * HOUR + MINUTE),
        (Cron(cron="0 0 31 2 *", timezone=AMSTERDAM), None),
        (AfterUpstream(), timedelta()),
        (AfterUpstream(jitter=MINUTE), MINUTE),
        (Manual(), None),
    ],
)
def test_the_longest_gap_of_a_schedule(schedule: Schedule, gap: timedelta | None) -> None:
    assert longest_gap(schedule) == gap


@given(schedule=st.one_of(everies(), crons()), after=moments(2024, 2040))
def test_no_two_instants_are_further_apart_than_the_longest_gap(
    schedule: Every | Cron, after: datetime
) -> None:
    sooner = instants.next_after(schedule, "v", after)
    assert sooner is not None
    later = instants.next_after(schedule, "v", sooner)
    longest = longest_gap(schedule)
    assert later is not None
    assert longest is not None
    assert later - sooner <= longest


WORKDAYS = Windows(parse_hours("mon-fri 06:00-20:00"), ZoneInfo("UTC"))


def limits(
    reads: dict[str, str], **views: Schedule | dict[str, Any]
) -> dict[str, timedelta | None]:
    """Limits of a graph; a view is given by its schedule, or by its fields."""
    built = {
        name: view(name, **fields) if isinstance(fields, dict) else view(name, schedule=fields)
        for name, fields in views.items()
    }
    refreshed = frozenset(name for name, each in built.items() if each.refreshed)
    edges = {name: frozenset(reads.get(name, "")) for name in built}
    return effective_max_staleness(built, Graph(edges, refreshed))


PLAIN: dict[str, Any] = {"kind": Kind.VIEW}


def test_two_gaps_and_some_slack() -> None:
    assert limits({}, a=Every(every=HOUR)) == {"a": 2 * HOUR + 10 * MINUTE}


def test_what_is_configured_stands() -> None:
    found = limits(
        {"c": "ab"},
        a={"max_staleness": HOUR},
        b={"max_staleness": None, "schedule": Every(every=HOUR)},
        c={"max_staleness": MINUTE, "schedule": AfterUpstream()},
    )
    assert found == {"a": HOUR, "b": None, "c": MINUTE}


def test_a_view_can_be_no_fresher_than_what_it_reads() -> None:
    found = limits({"b": "a"}, a=Every(every=DAY), b=Every(every=HOUR))
    assert found["b"] == (2 * DAY + SLACK) + HOUR + SLACK


def test_a_slow_view_is_judged_by_its_own_schedule() -> None:
    found = limits({"b": "a"}, a=Every(every=HOUR), b=Every(every=DAY))
    assert found["b"] == 2 * DAY + SLACK


def test_after_upstream_adds_only_slack() -> None:
    found = limits({"b": "a", "c": "b"}, a=Every(every=HOUR), b=AfterUpstream(), c=AfterUpstream())
    assert found["b"] == 2 * HOUR + 2 * SLACK
    assert found["c"] == 2 * HOUR + 3 * SLACK


def test_a_plain_view_takes_the_largest_of_what_it_shows() -> None:
    found = limits({"v": "pa", "p": "b"}, a=Every(every=HOUR), b=Every(every=DAY), p=PLAIN, v=PLAIN)
    assert found["v"] == found["p"] == found["b"] == 2 * DAY + SLACK


@pytest.mark.parametrize(
    ("reads", "views"),
    [
        ({}, {"v": Manual()}),
        ({}, {"v": PLAIN}),
        ({}, {"v": AfterUpstream()}),
        ({}, {"v": Cron(cron="0 0 31 2 *", timezone=AMSTERDAM)}),
        ({"v": "a"}, {"a": Manual(), "v": Every(every=HOUR)}),
        ({"v": "ab"}, {"a": Every(every=HOUR), "b": {"max_staleness": None}, "v": PLAIN}),
        ({"v": "p", "p": "a"}, {"a": Manual(), "p": PLAIN, "v": AfterUpstream()}),
    ],
)
def test_where_nothing_bounds_staleness_there_is_no_limit(
    reads: dict[str, str], views: dict[str, Schedule | dict[str, Any]]
) -> None:
    assert limits(reads, **views)["v"] is None


schedules = st.one_of(everies(), st.just(AfterUpstream()), st.just(Manual()))


@pytest.mark.parametrize(
    ("schedule", "limit"),
    [
        (Every(every=5 * MINUTE, only=WORKDAYS), 58 * HOUR + 20 * MINUTE),
        (Every(every=HOUR, only=WORKDAYS, jitter=MINUTE), 60 * HOUR + 12 * MINUTE),
        (
            Cron(cron="0 12 * * *", timezone=WORKDAYS.zone, only=WORKDAYS),
            4 * DAY + 10 * MINUTE,
        ),
        (TargetLag(target=HOUR, only=WORKDAYS), 60 * HOUR + 10 * MINUTE),
    ],
)
def test_time_without_a_window_is_in_a_limit_once(schedule: Schedule, limit: timedelta) -> None:
    assert limits({}, a=schedule) == {"a": limit}


def test_what_follows_in_windows_may_wait_for_them() -> None:
    follows = AfterUpstream(only=WORKDAYS)
    found = limits({"b": "a"}, a=Every(every=HOUR), b=follows)
    assert found["b"] == (2 * HOUR + 10 * MINUTE) + 58 * HOUR + 10 * MINUTE


@given(st.lists(schedules, min_size=4, max_size=4), st.booleans())
def test_a_derived_limit_grows_downstream(drawn: list[Schedule], plain: bool) -> None:  # noqa: FBT001 - drawn
    a, b, c, d = drawn
    last: Any = PLAIN if plain else d
    found = limits({"c": "ab", "d": "c"}, a=a, b=b, c=c, d=last)
    for below, above in (("c", "a"), ("c", "b"), ("d", "c")):
        lower, upper = found[below], found[above]
        assert lower is None or (upper is not None and upper <= lower)
