"""What decisions come to when replicas act on them, for hours and through failures."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from refresher.config.model import AfterUpstream, Cron, Every, Kind, Manual, Retry, Schedule, View
from refresher.graph import Graph
from refresher.runs import Trigger
from refresher.schedule import instants
from refresher.schedule.decision import Idle, Waiting
from refresher.schedule.due import misfires
from tests.unit.builders import DAY, HOUR, MINUTE, SECOND, view
from tests.unit.world import Fate, World, dice

RETRY = Retry()
FATES = st.lists(st.sampled_from(list(Fate)), min_size=1, max_size=6)
RANDOM = st.randoms(use_true_random=True)
JITTER = st.timedeltas(timedelta(), 20 * SECOND)
OFTEN: st.SearchStrategy[Every | Cron] = st.one_of(
    st.builds(Every, every=st.timedeltas(SECOND, 5 * MINUTE), jitter=JITTER),
    st.builds(
        Cron,
        cron=st.sampled_from(["* * * * *", "*/2 * * * *", "1,4,5,30-59 * * * *"]),
        timezone=st.just(ZoneInfo("Asia/Kathmandu")),
        jitter=JITTER,
    ),
)


def world_of(views: Iterable[View], random: Random, **reads: Iterable[str]) -> World:
    named = {each.name: each for each in views}
    edges = {name: frozenset(reads.get(name, "")) for name in named}
    refreshed = frozenset(name for name, each in named.items() if each.refreshed)
    return World(named, Graph(edges, refreshed), random)


def chaos(world: World, fates: list[Fate], longest: float) -> None:
    world.fate = lambda _: world.random.choice(fates)
    world.seconds = lambda _: world.random.uniform(0.01, longest)


def calm(world: World) -> None:
    world.fate = lambda _: Fate.SUCCESS
    world.seconds = lambda _: 0.01


# ── one view, many replicas ──────────────────────────────────────────────────────────────────────


@given(schedule=OFTEN, fates=FATES, random=RANDOM, replicas=st.integers(1, 4))
def test_every_instant_is_discharged_by_one_success_or_coalesced(
    schedule: Every | Cron, fates: list[Fate], random: Random, replicas: int
) -> None:
    world = world_of([view(schedule=schedule)], random)
    world.add_replicas(replicas - 1)
    world.lag = 3 * SECOND
    chaos(world, fates, longest=8)
    world.pass_time(3 * MINUTE)
    calm(world)
    world.pass_time(6 * MINUTE)

    assert world.successes
    for success in world.successes:
        assert success.due_at <= success.as_of
        assert success.previous_as_of is None or success.previous_as_of < success.due_at
    first, last = world.successes[0].as_of, world.successes[-1].as_of
    newest = instants.latest(schedule, "v", world.now - 10 * SECOND)
    assert newest is not None
    assert last >= newest
    discharged = [
        1 + misfires(world.views["v"], success.previous_as_of, success.as_of)
        for success in world.successes
    ]
    assert sum(discharged) == 1 + instants.count(schedule, "v", first, last)


@given(schedule=OFTEN, fates=FATES, random=RANDOM)
def test_an_instant_is_attempted_as_often_as_configured(
    schedule: Every | Cron, fates: list[Fate], random: Random
) -> None:
    world = world_of([view(schedule=schedule)], random)
    chaos(world, fates, longest=4)
    world.pass_time(5 * MINUTE)
    tries = Counter((due.due_at, due.attempt) for _, due in world.attempts)
    assert max(attempt for _, attempt in tries) <= RETRY.attempts
    if Fate.CANCELLED not in fates:
        assert max(tries.values()) == 1


def test_a_request_is_retried_and_then_given_up() -> None:
    world = world_of([view(schedule=Manual())], dice())
    world.settle()
    world.pass_time(SECOND)
    world.fate = lambda _: Fate.LOCKED
    world.stored["v"].requested_at = world.now
    world.pass_time(5 * MINUTE)
    assert [(due.trigger, due.attempt) for _, due in world.attempts] == [
        (Trigger.MANUAL, 1),
        (Trigger.MANUAL, 2),
        (Trigger.MANUAL, 3),
    ]
    assert world.decision("v") == Idle(None)


# ── graphs ───────────────────────────────────────────────────────────────────────────────────────


@st.composite
def rooted_graphs(draw: st.DrawFn) -> dict[str, str]:
    """Who reads whom below `r`: up to six views, some of them plain."""
    reads: dict[str, str] = {}
    for name in "abcdef"[: draw(st.integers(1, 6))]:
        reads[name] = "".join(draw(st.sets(st.sampled_from(["r", *reads]), min_size=1, max_size=3)))
    return reads


def below_root(reads: dict[str, str], root: Schedule, plain: str, jitter: timedelta) -> list[View]:
    retry = Retry(attempts=100, max_backoff=5 * SECOND)
    return [
        view("r", schedule=root, retry=retry),
        *(
            view(name, kind=Kind.VIEW)
            if name in plain
            else view(name, schedule=AfterUpstream(jitter=jitter), retry=retry)
            for name in reads
        ),
    ]


@example(
    reads={"a": "r", "b": "r", "c": "b", "d": "ac"},
    plain=set(),
    fates=[],
    jitter=timedelta(),
    max_parallel=4,
    random=dice(),
)
@given(
    reads=rooted_graphs(),
    plain=st.sets(st.sampled_from("abcdef"), max_size=2),
    fates=st.lists(st.sampled_from([Fate.SUCCESS, Fate.LOCKED, Fate.DEATH]), max_size=2),
    jitter=st.sampled_from([timedelta(), 5 * SECOND]),
    max_parallel=st.integers(1, 4),
    random=RANDOM,
)
def test_below_a_root_each_view_is_refreshed_once_per_refresh_of_the_root(
    *,
    reads: dict[str, str],
    plain: set[str],
    fates: list[Fate],
    jitter: timedelta,
    max_parallel: int,
    random: Random,
) -> None:
    root = Every(every=30 * MINUTE)
    world = world_of(below_root(reads, root, "".join(plain), jitter), random, **reads)
    world.rescan, world.max_parallel = 20 * SECOND, max_parallel
    chaos(world, [Fate.SUCCESS, *fates], longest=20)
    world.settle()
    fourth = instants.latest(root, "r", world.now + 4 * root.every)
    assert fourth is not None
    world.pass_time(fourth + 25 * MINUTE - world.now)
    rounds = len(world.successes_of("r"))
    assert rounds == 4
    for name, each in world.views.items():
        assert len(world.successes_of(name)) == (rounds if each.refreshed else 0), name


@given(
    reads=rooted_graphs(),
    slowness=st.lists(st.floats(0.1, 3), min_size=7, max_size=7),
    jitter=st.sampled_from([timedelta(), 30 * SECOND]),
    own=st.sets(st.sampled_from("abcdef")),
    random=RANDOM,
)
def test_views_that_are_always_behind_starve_nobody(
    *,
    reads: dict[str, str],
    slowness: list[float],
    jitter: timedelta,
    own: set[str],
    random: Random,
) -> None:
    # Each refresh takes up to three times as long as the schedule leaves for it.
    every = Every(every=MINUTE)
    views = [
        view(each.name, schedule=every) if each.name in own else each
        for each in below_root(reads, every, "", jitter)
    ]
    world = world_of(views, random, **reads)
    world.rescan, world.max_parallel = MINUTE, 10
    took = dict(zip("rabcdef", slowness, strict=True))
    world.seconds = lambda name: 60 * took[name]
    world.settle()
    start = world.now
    world.pass_time(3 * HOUR)
    for name in world.views:
        ends = [start, *(success.finished_at for success in world.successes_of(name)), world.now]
        # Down the longest path each view waits for one success above it, and then takes its own.
        assert max(later - sooner for sooner, later in pairwise(ends)) <= 7 * 2 * 4 * MINUTE


def test_a_view_that_reads_two_others_that_are_always_behind_is_never_far_behind_them() -> None:
    views = [
        view("a", schedule=Every(every=MINUTE)),
        view("b", schedule=Every(every=MINUTE)),
        view("c", schedule=AfterUpstream()),
    ]
    world = world_of(views, dice(), c="ab")
    world.seconds = lambda name: {"a": 90, "b": 130, "c": 5}[name]
    world.settle()
    start = world.now
    world.pass_time(6 * HOUR)
    ends = [start, *(success.finished_at for success in world.successes_of("c"))]
    assert max(later - sooner for sooner, later in pairwise(ends)) < 8 * MINUTE


def test_an_upstream_that_failed_makes_its_readers_wait_until_it_is_well() -> None:
    nightly = Cron(cron="0 13 * * *", timezone=ZoneInfo("UTC"))
    views = [
        view("often", schedule=Every(every=10 * MINUTE)),
        view("sick", schedule=nightly),
        view("below", schedule=AfterUpstream()),
        view("alone", schedule=Every(every=10 * MINUTE)),
    ]
    world = world_of(views, dice(), below=["often", "sick"], alone=["sick"])
    world.fate = lambda name: Fate.REFUSED if name == "sick" else Fate.SUCCESS
    world.settle()
    world.pass_time(59 * MINUTE)
    before = len(world.successes_of("below"))
    assert before >= 5
    world.pass_time(3 * HOUR)
    assert len(world.successes_of("below")) <= before + 1
    assert world.decision("below") == Waiting("waits for sick (failed: permission)")
    assert len(world.successes_of("alone")) >= 20

    world.stored["sick"].requested_at = world.now
    world.fate = lambda _: Fate.SUCCESS
    world.pass_time(MINUTE)
    assert len(world.successes_of("below")) > before
    assert world.decision("below") == Idle(None)


def test_a_paused_upstream_is_not_waited_for_and_catches_up_later() -> None:
    views = [
        view("a", schedule=Every(every=10 * MINUTE)),
        view("b", schedule=Every(every=10 * MINUTE)),
        view("c", schedule=AfterUpstream()),
    ]
    world = world_of(views, dice(), c="ab")
    world.settle()
    world.stored["b"].paused = True
    world.pass_time(HOUR)
    assert len(world.successes_of("c")) == len(world.successes_of("a")) >= 5
    assert world.decision("b") == Waiting("paused")
    world.stored["b"].paused = False
    world.pass_time(MINUTE)
    assert [success.due_at for success in world.successes_of("b")] == [
        instants.latest(views[1].schedule, "b", world.now - MINUTE)
    ]


def test_a_graph_that_was_never_populated_fills_itself_from_the_top() -> None:
    reads = {"a": "r", "b": "ra", "c": "ab"}
    world = world_of(below_root(reads, Every(every=DAY), "", timedelta()), dice(), **reads)
    world.pass_time(MINUTE)
    finished = [success.view for success in world.successes]
    assert finished == ["r", "a", "b", "c"]
