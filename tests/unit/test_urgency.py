"""Who goes first, decided for one moment and over hours of too much work."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush

from hypothesis import given
from hypothesis import strategies as st

from refresher.config.model import AfterUpstream, Every
from refresher.runs import Trigger
from refresher.schedule.aims import Aim
from refresher.schedule.decision import Due
from refresher.schedule.due import decide
from refresher.schedule.urgency import PATIENCE, Turn, limits, turn, waits_since
from tests.unit.builders import HOUR, MINUTE, NOON, SECOND, facts, run, view


def _turn(
    name: str = "v",
    *,
    since: datetime = NOON,
    data_as_of: datetime | None = NOON - HOUR,
    limit: timedelta | None = HOUR + MINUTE,
    trigger: Trigger = Trigger.SCHEDULE,
) -> Turn:
    due = Due(trigger, since, attempt=1, ready_at=since)
    return turn(name, due, since=since, data_as_of=data_as_of, limit=limit)


def test_the_view_nearest_its_limit_goes_first() -> None:
    near = _turn("near", limit=HOUR + MINUTE)
    far = _turn("far", limit=HOUR + 2 * MINUTE, since=NOON - MINUTE)
    assert min(near, far) == near


def test_of_two_that_are_as_near_the_longer_waiting_goes_first() -> None:
    one = _turn("one", since=NOON - SECOND)
    assert min(_turn("other"), one) == one


def test_a_view_without_a_limit_has_patience() -> None:
    assert _turn(limit=None).deadline == NOON + PATIENCE
    assert _turn(limit=24 * HOUR).deadline == NOON + PATIENCE


def test_what_is_unknown_or_asked_for_has_none() -> None:
    assert _turn(data_as_of=None).deadline == NOON
    assert _turn(trigger=Trigger.MANUAL).deadline == NOON


def test_what_is_far_over_its_limit_goes_no_more_before_others_than_what_is_just_over() -> None:
    hopeless = _turn("a", data_as_of=NOON - 24 * HOUR, since=NOON)
    waiting = _turn("b", data_as_of=NOON - 2 * HOUR, since=NOON - SECOND)
    assert min(hopeless, waiting) == waiting


def test_a_target_lag_is_the_limit_that_counts() -> None:
    asked = {"aimed": Aim(MINUTE, SECOND, "aimed"), "lax": Aim(HOUR, SECOND, "x")}
    known = {"aimed": HOUR, "lax": MINUTE, "without": None, "plain": HOUR}
    assert limits(known, asked) == {
        "aimed": MINUTE,
        "lax": MINUTE,
        "without": None,
        "plain": HOUR,
    }


def test_a_view_waits_since_the_oldest_instant_it_missed() -> None:
    minutely = view(schedule=Every(every=MINUTE))
    known = facts(as_of=NOON - 10 * MINUTE)
    due = decide(minutely, known)
    assert isinstance(due, Due)
    assert due.due_at > NOON - MINUTE
    assert NOON - 10 * MINUTE < waits_since(minutely, known, due) <= NOON - 9 * MINUTE


def test_a_view_that_was_tried_waits_since_the_end_of_that() -> None:
    minutely = view(schedule=Every(every=MINUTE))
    tried = run(
        due_at=NOON - 4 * MINUTE,
        started_at=NOON - 3 * MINUTE,
        finished_at=NOON - 2 * MINUTE,
    )
    known = facts(as_of=NOON - 10 * MINUTE, unsuccessful=(tried,))
    due = decide(minutely, known)
    assert isinstance(due, Due)
    assert waits_since(minutely, known, due) == NOON - 2 * MINUTE


def test_a_view_that_follows_others_waits_since_the_newest_of_them() -> None:
    due = Due(Trigger.UPSTREAM, NOON - MINUTE, attempt=1, ready_at=NOON - MINUTE)
    after = view(schedule=AfterUpstream())
    assert waits_since(after, facts(as_of=NOON - HOUR), due) == NOON - MINUTE


@dataclass
class Load:
    """A view under a load: how often it is due, how long it takes, how stale it may get."""

    every: timedelta
    takes: timedelta
    limit: timedelta | None
    hopeless: bool
    """Whether a refresh leaves it as old as it was: what it reads is old, or it fails."""
    since: datetime = NOON
    as_of: datetime = NOON
    served: int = 0
    waits: list[timedelta] = field(default_factory=list)
    staleness: list[timedelta] = field(default_factory=list)


def _load(every: timedelta, takes: timedelta, limit: timedelta) -> Load:
    return Load(every, takes, limit, hopeless=False)


def _place(name: str, load: Load) -> Turn:
    return _turn(name, since=load.since, data_as_of=load.as_of, limit=load.limit)


def _simulate(loads: dict[str, Load], slots: int, length: timedelta) -> None:
    """Serve, for a while, whoever is due, as many at once as there are slots."""
    events: list[tuple[datetime, str]] = []
    waiting = dict.fromkeys(loads)
    now, free = NOON, slots
    while now < NOON + length:
        while free and waiting:
            first = min(_place(name, loads[name]) for name in waiting)
            of = loads[first.view]
            del waiting[first.view]
            free -= 1
            of.waits.append(now - of.since)
            of.staleness.append(now - of.as_of)
            of.served += 1
            if not of.hopeless:
                of.as_of = now
            of.since = max(of.since, now) + of.every
            heappush(events, (now + of.takes, ""))
            heappush(events, (max(of.since, now + of.takes), first.view))
        now, event = heappop(events)
        if event:
            waiting[event] = None
        else:
            free += 1
    for name in waiting:
        loads[name].waits.append(now - loads[name].since)


seconds = st.integers(1, 60).map(lambda number: number * SECOND)


@given(
    st.lists(
        st.builds(
            Load,
            every=seconds,
            takes=seconds,
            limit=st.none() | st.integers(1, 3600).map(lambda number: number * SECOND),
            hopeless=st.booleans(),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 4),
)
def test_under_any_load_every_view_is_served(found: list[Load], slots: int) -> None:
    loads = {f"v{number:02}": load for number, load in enumerate(found)}
    _simulate(loads, slots, HOUR)
    work = sum((load.takes for load in found), timedelta())
    # Once it has waited for PATIENCE only those go first that were in line by then, once each.
    longest = PATIENCE + work / slots + max(load.takes for load in found)
    assert all(max(load.waits) <= longest for load in found)
    assert all(load.served for load in found)


def test_under_too_much_work_tight_limits_are_kept_while_others_wait() -> None:
    tight = {f"tight{number}": _load(30 * SECOND, SECOND, MINUTE) for number in range(20)}
    lax = {f"lax{number}": _load(MINUTE, 5 * SECOND, 24 * HOUR) for number in range(60)}
    _simulate(lax | tight, slots=2, length=3 * HOUR)
    # Together they ask for 2.8 times as much as two slots can do.
    assert all(max(load.staleness[1:]) <= MINUTE + 10 * SECOND for load in tight.values())
    assert all(load.served > 10 for load in lax.values())
    assert max(wait for load in lax.values() for wait in load.waits) > MINUTE
