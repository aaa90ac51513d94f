"""Target lags are kept by what the decisions come to, and cost no more refreshes than they must."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from refresher.config.model import AfterUpstream, Every, Kind, Manual, Schedule, TargetLag
from refresher.graph import Graph
from refresher.hours import parse_hours
from refresher.schedule.aims import MARGIN, Infeasible, aims, infeasible
from refresher.windows import Windows
from tests.unit.builders import HOUR, MINUTE, NOON, SECOND, view
from tests.unit.world import Fate, Stored, World, dice

RANDOM = st.randoms(use_true_random=True)


def world_of(
    schedules: dict[str, Schedule], random: Random, seconds: dict[str, float], **reads: str
) -> World:
    """Settled views, each of which takes as many seconds as it is known to take."""
    views = {name: view(name, schedule=schedule) for name, schedule in schedules.items()}
    edges = {name: frozenset(reads.get(name, "").split()) for name in views}
    world = World(views, Graph(edges, frozenset(views)), random)
    world.usual = seconds
    world.seconds = seconds.__getitem__
    world.settle()
    return world


def worst_staleness(world: World, name: str) -> timedelta:
    """The most the view was ever behind, which is just before a refresh is there."""
    successes = world.successes_of(name)
    assert successes, f"{name} was never refreshed"
    ends = [*((each.finished_at, each.previous_data_as_of) for each in successes)]
    ends.append((world.now, successes[-1].data_as_of))
    return max(at - since for at, since in ends if since is not None)


# ── one view ─────────────────────────────────────────────────────────────────────────────────────


def test_a_view_is_refreshed_in_time_and_not_before() -> None:
    world = world_of({"v": TargetLag(target=5 * MINUTE)}, dice(), {"v": 10.0})
    world.pass_time(HOUR)
    assert worst_staleness(world, "v") <= 5 * MINUTE
    # One as_of to the next is the target less what a refresh takes and the margin.
    gaps = {later.as_of - sooner.as_of for sooner, later in pairwise(world.successes)}
    assert min(gaps) >= 5 * MINUTE - 10 * SECOND - MARGIN


def test_a_target_that_is_too_short_has_one_refresh_follow_the_other() -> None:
    world = world_of({"v": TargetLag(target=5 * SECOND)}, dice(), {"v": 10.0})
    world.pass_time(HOUR)
    assert len(world.successes) <= 360
    assert len(world.successes) > 250


def test_jitter_begins_earlier_and_never_later() -> None:
    schedule = TargetLag(target=5 * MINUTE, jitter=MINUTE)
    world = world_of({"v": schedule}, dice(), {"v": 1.0})
    world.pass_time(6 * HOUR)
    assert worst_staleness(world, "v") <= 5 * MINUTE
    gaps = [later.as_of - sooner.as_of for sooner, later in pairwise(world.successes)]
    assert max(gaps) - min(gaps) > 30 * SECOND


def test_a_view_that_was_never_populated_is_filled_after_what_it_reads() -> None:
    world = world_of(
        {"a": TargetLag(target=HOUR), "b": TargetLag(target=HOUR)},
        dice(),
        {"a": 1.0, "b": 1.0},
        b="a",
    )
    for stored in world.stored.values():
        stored.as_of = stored.data_as_of = None
        stored.seen = {}
    world.pass_time(10 * SECOND)
    assert [success.view for success in world.successes] == ["a", "b"]


def test_what_failed_for_good_is_tried_again_one_lag_later() -> None:
    world = world_of({"v": TargetLag(target=10 * MINUTE)}, dice(), {"v": 1.0})
    world.fate = lambda _: Fate.REFUSED
    world.pass_time(2 * HOUR)
    assert 10 <= len(world.attempts) <= 12
    world.fate = lambda _: Fate.SUCCESS
    world.pass_time(10 * MINUTE)
    assert world.successes


# ── what a view with a target reads ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("filled", [True, False])
def test_what_failed_for_good_is_not_tried_more_often_as_its_aim_changes_a_little(
    *, filled: bool
) -> None:
    world = world_of(
        {"u": Every(every=24 * HOUR), "v": TargetLag(target=10 * MINUTE)},
        dice(),
        {"u": 1.0, "v": 1.0},
        v="u",
    )
    if not filled:
        world.stored["u"] = Stored(as_of=None)
    world.fate = lambda name: Fate.REFUSED if name == "u" else Fate.SUCCESS
    for minute in range(120):
        world.usual = {"u": 1.0, "v": 1.0 + minute % 7 / 100}
        world.pass_time(MINUTE)
    tried = [due for name, due in world.attempts if name == "u"]
    assert 10 <= len(tried) <= 14


def test_a_chain_is_refreshed_top_down_in_time() -> None:
    world = world_of(
        {"a": Every(every=24 * HOUR), "b": AfterUpstream(), "c": TargetLag(target=10 * MINUTE)},
        dice(),
        {"a": 20.0, "b": 30.0, "c": 10.0},
        b="a",
        c="b",
    )
    world.pass_time(6 * HOUR)
    assert worst_staleness(world, "c") <= 10 * MINUTE
    # 6 h in steps of 10 m less what the chain takes and three margins: 8 m 54 s.
    assert len(world.successes_of("a")) in range(39, 43)
    assert len(world.successes_of("c")) == len(world.successes_of("a"))


def test_the_most_demanding_reader_decides_and_the_other_shares() -> None:
    world = world_of(
        {
            "top": Every(every=24 * HOUR),
            "quick": TargetLag(target=5 * MINUTE),
            "slow": TargetLag(target=17 * MINUTE),
        },
        dice(),
        {"top": 5.0, "quick": 5.0, "slow": 5.0},
        quick="top",
        slow="top",
    )
    world.pass_time(4 * HOUR)
    assert worst_staleness(world, "quick") <= 5 * MINUTE
    assert worst_staleness(world, "slow") <= 17 * MINUTE
    tops, quicks, slows = (len(world.successes_of(each)) for each in ("top", "quick", "slow"))
    assert tops == quicks  # once for both of them
    assert slows <= tops / 2  # and the other one follows every third or so


def test_the_bottom_of_a_diamond_is_refreshed_once() -> None:
    world = world_of(
        {
            "a": Every(every=24 * HOUR),
            "b": Every(every=24 * HOUR),
            "c": AfterUpstream(),
            "d": TargetLag(target=5 * MINUTE),
        },
        dice(),
        {"a": 1.0, "b": 2.0, "c": 20.0, "d": 3.0},
        b="a",
        c="a",
        d="b c",
    )
    world.pass_time(5 * HOUR)
    assert worst_staleness(world, "d") <= 5 * MINUTE
    counts = {name: len(world.successes_of(name)) for name in "abcd"}
    assert max(counts.values()) - min(counts.values()) <= 1, counts


def test_an_upstream_that_is_refreshed_all_the_time_is_not_followed_each_time() -> None:
    world = world_of(
        {"often": Every(every=MINUTE), "rare": TargetLag(target=HOUR)},
        dice(),
        {"often": 1.0, "rare": 10.0},
        rare="often",
    )
    world.pass_time(6 * HOUR)
    assert worst_staleness(world, "rare") <= HOUR
    assert len(world.successes_of("rare")) <= 8


def test_a_manual_upstream_is_left_alone() -> None:
    world = world_of(
        {"by_hand": Manual(), "v": TargetLag(target=5 * MINUTE)},
        dice(),
        {"by_hand": 1.0, "v": 1.0},
        v="by_hand",
    )
    world.pass_time(HOUR)
    assert not world.successes_of("by_hand")
    assert len(world.successes_of("v")) <= 1  # it would get no fresher


def test_who_reads_what_is_of_unknown_age_is_refreshed_with_it() -> None:
    world = world_of(
        {"u": TargetLag(target=HOUR), "v": TargetLag(target=5 * MINUTE)},
        dice(),
        {"u": 1.0, "v": 1.0},
        v="u",
    )
    world.unmanaged = frozenset({"u"})
    world.pass_time(HOUR)
    assert len(world.successes_of("u")) >= 10
    assert len(world.successes_of("v")) == len(world.successes_of("u"))


def test_a_failing_upstream_holds_up_nothing_but_what_it_brings() -> None:
    world = world_of(
        {"a": Every(every=MINUTE), "b": Every(every=MINUTE), "c": TargetLag(target=10 * MINUTE)},
        dice(),
        {"a": 1.0, "b": 1.0, "c": 1.0},
        c="a b",
    )
    world.fate = lambda name: Fate.REFUSED if name == "b" else Fate.SUCCESS
    world.pass_time(HOUR)
    assert len(world.successes_of("c")) <= 1
    world.fate = lambda _: Fate.SUCCESS
    world.pass_time(2 * MINUTE)
    latest = world.successes_of("c")[-1].data_as_of
    assert latest is not None
    assert latest >= world.now - 3 * MINUTE


# Shrinking would simulate hundreds of worlds more.
@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(data=st.data(), random=RANDOM, replicas=st.integers(1, 3))
def test_every_feasible_target_is_kept(data: st.DataObject, random: Random, replicas: int) -> None:
    world = drawn_world(data, random)
    world.add_replicas(replicas - 1)
    usual = {name: timedelta(seconds=takes) for name, takes in world.usual.items()}
    refused = {found.view for found in infeasible(world.views, world.graph, usual)}
    world.pass_time(40 * MINUTE)
    for name, each in world.views.items():
        if each.target_lag is not None and name not in refused:
            assert worst_staleness(world, name) <= each.target_lag, name


def test_a_reader_that_is_at_work_for_something_else_is_reckoned_with() -> None:
    schedules: dict[str, Schedule] = {
        "a": AfterUpstream(),
        "b": AfterUpstream(),
        "c": Every(every=2171 * SECOND),
        "d": TargetLag(target=160 * SECOND),
    }
    seconds = {"a": 5.1, "b": 1.6, "c": 6.4, "d": 18.7}
    world = world_of(schedules, dice(), seconds, c="a b", d="b c")
    assert not told(schedules, seconds, c="a b", d="b c")
    world.pass_time(6 * HOUR)
    assert worst_staleness(world, "d") <= 160 * SECOND


def drawn_world(data: st.DataObject, random: Random) -> World:
    names = "abcdef"[: data.draw(st.integers(1, 6))]
    schedules: dict[str, Schedule] = {}
    reads: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for position, name in enumerate(names):
        schedules[name] = data.draw(
            st.one_of(
                st.builds(TargetLag, target=st.timedeltas(30 * SECOND, 15 * MINUTE)),
                st.builds(Every, every=st.timedeltas(20 * SECOND, 5 * HOUR)),
                st.just(AfterUpstream()),
            )
        )
        above = (
            data.draw(st.sets(st.sampled_from(names[:position]), max_size=3)) if position else ()
        )
        reads[name] = " ".join(sorted(above))
        seconds[name] = data.draw(st.floats(0.01, 20))
    world = world_of(schedules, random, seconds, **reads)
    world.max_parallel = len(names)
    return world


def test_outside_its_hours_a_target_asks_for_nothing() -> None:
    lunch = Windows(parse_hours("12:00-13:00"), ZoneInfo("UTC"))
    world = world_of(
        {"a": Every(every=24 * HOUR), "b": TargetLag(target=5 * MINUTE, only=lunch)},
        dice(),
        {"a": 1.0, "b": 1.0},
        b="a",
    )
    world.pass_time(HOUR)
    at_lunch = len(world.successes_of("a"))
    assert at_lunch >= 11
    world.pass_time(5 * HOUR)
    assert len(world.successes_of("a")) <= at_lunch + 1
    world.pass_time(19 * HOUR)
    assert len(world.successes_of("b")) >= at_lunch + 10


# ── who needs what, and what can't be ────────────────────────────────────────────────────────────


def told(
    schedules: dict[str, Schedule], seconds: dict[str, float], **reads: str
) -> Iterable[Infeasible]:
    views = {name: view(name, schedule=schedule) for name, schedule in schedules.items()}
    edges = {name: frozenset(reads.get(name, "").split()) for name in views}
    usual = {name: timedelta(seconds=takes) for name, takes in seconds.items()}
    return list(infeasible(views, Graph(edges, frozenset(views)), usual))


def test_the_shortest_feasible_target_is_told() -> None:
    schedules: dict[str, Schedule] = {"a": Every(every=HOUR), "b": TargetLag(target=MINUTE)}
    (found,) = told(schedules, {"a": 60.0, "b": 5.0}, b="a")
    assert found.view == "b"
    # 60 s + 2 s, 5 s + 2 s, and 60 s once more.
    assert found.problem == (
        "target_lag 1m can't be kept: refreshing a (1m) → b (5.0s) allows 2m 9s at the least;"
        " lengthen it, or make these faster"
    )
    schedules["b"] = TargetLag(target=timedelta(seconds=129))
    assert not told(schedules, {"a": 60.0, "b": 5.0}, b="a")


def test_a_target_over_a_manual_view_is_told() -> None:
    schedules: dict[str, Schedule] = {"a": Manual(), "b": TargetLag(target=HOUR)}
    (found,) = told(schedules, {}, b="a")
    assert "reads a, whose schedule is manual" in found.problem


def test_a_plain_view_between_passes_the_aim_on() -> None:
    views = {
        "a": view("a", schedule=Every(every=HOUR)),
        "plain": view("plain", kind=Kind.VIEW),
        "b": view("b", schedule=TargetLag(target=MINUTE)),
    }
    reads = {"a": frozenset[str](), "plain": frozenset("a"), "b": frozenset({"plain"})}
    found = aims(views, Graph(reads, frozenset("ab")), {"b": 3 * SECOND}, NOON)
    assert found["a"].lag == MINUTE - 3 * SECOND - MARGIN
    assert found["a"].by == "b"
    assert found.keys() == {"a", "b"}


@pytest.mark.parametrize("seconds", [0.0, 30.0])
def test_no_aim_asks_for_more_than_one_refresh_after_the_other(seconds: float) -> None:
    views = {"a": view("a", schedule=TargetLag(target=10 * SECOND))}
    usual = {"a": timedelta(seconds=seconds)}
    (aim,) = aims(views, Graph({"a": frozenset()}, frozenset("a")), usual, NOON).values()
    assert aim.lag >= 2 * usual["a"] + MARGIN
