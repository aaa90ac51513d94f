from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.config.model import AfterUpstream, Cron, Every, Kind, Manual, TargetLag, View
from refresher.errors import FailureReason
from refresher.hours import parse_hours
from refresher.refresh.retry import RetryAt, next_attempt
from refresher.runs import Outcome, Trigger
from refresher.schedule import instants
from refresher.schedule.aims import Aim
from refresher.schedule.decision import Decision, Due, Idle, Waiting
from refresher.schedule.due import decide, misfires, next_due_at, undischarged
from refresher.windows import Windows
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    crons,
    everies,
    facts,
    moments,
    run,
    upstream,
    view,
)

INSTANT = timedelta.resolution

NIGHTLY = view(schedule=Cron(cron="0 3 * * *", timezone=ZoneInfo("UTC")))
THREE = NOON - 9 * HOUR
NEXT_THREE = THREE + DAY

FOLLOWING = view(schedule=AfterUpstream())
MANUAL = view(schedule=Manual())

fails = {"outcome": Outcome.FAILED, "finished_at": THREE + SECOND}


# ── every and cron ───────────────────────────────────────────────────────────────────────────────


def test_an_instant_is_due_from_its_moment_on() -> None:
    yesterday = THREE - HOUR
    before = decide(NIGHTLY, facts(now=THREE - INSTANT, as_of=yesterday))
    assert before == Idle(THREE)
    at_once = decide(NIGHTLY, facts(now=THREE, as_of=yesterday))
    assert at_once == Due(Trigger.SCHEDULE, THREE, attempt=1, ready_at=THREE)


def test_a_success_from_the_instant_on_discharges_it() -> None:
    assert decide(NIGHTLY, facts(as_of=THREE)) == Idle(NEXT_THREE)
    assert isinstance(decide(NIGHTLY, facts(as_of=THREE - INSTANT)), Due)


def test_of_several_instants_the_newest_counts() -> None:
    decision = decide(NIGHTLY, facts(as_of=NOON - 5 * DAY))
    assert decision == Due(Trigger.SCHEDULE, THREE, attempt=1, ready_at=THREE)
    assert undischarged(NIGHTLY, facts(as_of=NOON - 5 * DAY)) == THREE - 4 * DAY


@pytest.mark.parametrize("fields", [{"as_of": None}, {"as_of": NOON, "populated": False}])
def test_a_view_without_contents_is_due_at_the_newest_instant(fields: dict[str, Any]) -> None:
    assert decide(NIGHTLY, facts(**fields)) == Due(Trigger.SCHEDULE, THREE, 1, THREE)
    assert undischarged(NIGHTLY, facts(**fields)) == THREE


def hours(text: str, zone: str = "UTC") -> Windows:
    return Windows(parse_hours(text), ZoneInfo(zone))


@pytest.mark.parametrize(
    ("schedule", "fields"),
    [
        (Every(every=HOUR), {}),
        (Every(every=HOUR), {"as_of": None}),
        (
            Cron(cron="59 11 * * *", timezone=ZoneInfo("UTC")),
            {"unsuccessful": (run(due_at=NOON - MINUTE, finished_at=NOON - 30 * SECOND),)},
        ),
        (AfterUpstream(), {"upstreams": (upstream(as_of=NOON - MINUTE),)}),
        (TargetLag(target=MINUTE), {"aim": Aim(MINUTE, SECOND, "v"), "data_as_of": NOON - HOUR}),
    ],
)
def test_nothing_scheduled_starts_outside_its_windows(
    schedule: Every | Cron | AfterUpstream | TargetLag, fields: dict[str, Any]
) -> None:
    morning = view(schedule=replace(schedule, only=hours("mon-fri 06:00-12:00")))
    six = NOON + 18 * HOUR
    known = facts(**{"as_of": NOON - 30 * HOUR, **fields})
    assert decide(morning, known) == Waiting("outside mon-fri 06:00-12:00", six)
    assert undischarged(morning, known) is None
    opened = decide(morning, replace(known, now=six))
    assert isinstance(opened, Due)
    assert opened.ready_at == six
    assert undischarged(morning, replace(known, now=six)) is not None


def test_a_request_is_met_outside_the_windows() -> None:
    morning = view(schedule=Every(every=HOUR, only=hours("06:00-12:00")))
    known = facts(requested_at=NOON, as_of=NOON - DAY)
    assert decide(morning, known) == Due(Trigger.MANUAL, NOON, attempt=1, ready_at=NOON)
    assert undischarged(morning, known) == NOON


def test_what_is_discharged_waits_for_its_next_instant_and_not_for_a_window() -> None:
    at_three = Cron(cron="0 3 * * *", timezone=ZoneInfo("UTC"), only=hours("mon-fri 02:00-04:00"))
    nightly = view(schedule=at_three)
    assert decide(nightly, facts(as_of=THREE)) == Idle(NEXT_THREE)
    friday = facts(now=NOON + 3 * DAY, as_of=THREE + 3 * DAY)
    assert decide(nightly, friday) == Idle(NEXT_THREE + 5 * DAY)
    assert next_due_at(nightly, friday) == NEXT_THREE + 5 * DAY


def test_instants_outside_the_windows_are_no_misfires() -> None:
    hourly = view(schedule=Every(every=HOUR, only=hours("mon-fri 06:00-20:00")))
    assert misfires(hourly, NOON, NOON + 7 * DAY) == 5 * 14 - 1


def test_a_schedule_that_never_matches_is_idle_for_ever() -> None:
    never = view(schedule=Cron(cron="0 0 31 2 *", timezone=ZoneInfo("UTC")))
    assert decide(never, facts(as_of=None)) == Idle(None)


def test_a_plain_view_has_nothing_to_do() -> None:
    plain = view(kind=Kind.VIEW, schedule=Every(every=SECOND))
    assert decide(plain, facts(as_of=None, populated=False)) == Idle(None)
    assert next_due_at(plain, facts(as_of=None)) is None


def test_a_running_view_is_left_alone() -> None:
    assert decide(NIGHTLY, facts(as_of=None, running=True)) == Waiting("running")


def test_a_paused_view_waits_for_a_person() -> None:
    assert decide(NIGHTLY, facts(as_of=None, paused=True)) == Waiting("paused")


@given(schedule=st.one_of(everies(), crons()), now=moments(), age=st.timedeltas(-DAY, 9 * DAY))
def test_nothing_starts_early_and_nothing_due_is_left(
    schedule: Every | Cron, now: datetime, age: timedelta
) -> None:
    scheduled = view(schedule=schedule)
    known = facts(now=now, as_of=now - age)
    newest = instants.latest(schedule, "v", now)
    assert newest is not None
    match decide(scheduled, known):
        case Due(due_at=due_at):
            assert now - age < due_at == newest <= now
        case Idle(following):
            assert newest <= now - age
            assert following is not None
            assert following > now
        case Waiting() as waiting:
            pytest.fail(f"nothing to wait for: {waiting}")


# ── attempts ─────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_instant_waits_for_its_next_attempt_and_then_makes_it() -> None:
    failed = (run(due_at=THREE, **fails),)
    retry = next_attempt(NIGHTLY.retry, "v", THREE, failed)
    assert isinstance(retry, RetryAt)
    early = decide(NIGHTLY, facts(now=retry.at - INSTANT, as_of=None, unsuccessful=failed))
    assert early == Waiting("attempt 2 of 3 after lock_timeout", retry.at)
    then = decide(NIGHTLY, facts(now=retry.at, as_of=None, unsuccessful=failed))
    assert then == Due(Trigger.SCHEDULE, THREE, attempt=2, ready_at=retry.at)


def test_a_failure_that_will_not_pass_waits_for_the_next_instant() -> None:
    known = facts(
        as_of=None, unsuccessful=(run(due_at=THREE, failure=FailureReason.CHECK, **fails),)
    )
    decision = decide(NIGHTLY, known)
    assert isinstance(decision, Waiting)
    assert "check" in decision.reason
    assert decision.until == NEXT_THREE
    assert next_due_at(NIGHTLY, known) == NEXT_THREE
    assert undischarged(NIGHTLY, known) == THREE


def test_the_next_instant_starts_afresh() -> None:
    failed = (run(due_at=THREE - DAY, failure=FailureReason.CHECK, **fails),)
    decision = decide(NIGHTLY, facts(as_of=NOON - 5 * DAY, unsuccessful=failed))
    assert decision == Due(Trigger.SCHEDULE, THREE, attempt=1, ready_at=THREE)


def test_a_retry_is_not_waited_for_beyond_the_next_instant() -> None:
    often = view(schedule=Every(every=SECOND))
    due_at = instants.latest(often.schedule, "v", NOON)
    following = instants.next_after(often.schedule, "v", NOON)
    assert due_at is not None
    failed = (run(due_at=due_at, started_at=NOON, finished_at=NOON),)
    decision = decide(often, facts(as_of=None, unsuccessful=failed))
    assert isinstance(decision, Waiting)
    assert decision.until == following


def test_a_drained_instant_is_taken_over_at_once() -> None:
    cancelled = run(due_at=THREE, outcome=Outcome.CANCELLED, failure=None, finished_at=NOON)
    decision = decide(NIGHTLY, facts(as_of=None, unsuccessful=(cancelled,)))
    assert decision == Due(Trigger.SCHEDULE, THREE, attempt=1, ready_at=THREE)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


def asked(**fields: Any) -> Any:
    return facts(requested_at=NOON - SECOND, **fields)


@pytest.mark.parametrize("paused", [False, True])
def test_a_request_is_an_instant_that_outlives_a_pause(paused: bool) -> None:  # noqa: FBT001 - a parameter
    decision = decide(MANUAL, asked(paused=paused))
    assert decision == Due(Trigger.MANUAL, NOON - SECOND, 1, NOON - SECOND)
    assert next_due_at(MANUAL, asked(paused=paused)) == NOON - SECOND


def test_a_request_is_discharged_like_any_instant() -> None:
    assert decide(MANUAL, asked(as_of=NOON - SECOND)) == Idle(None)
    assert isinstance(decide(MANUAL, asked(as_of=None)), Due)


def test_a_request_from_the_future_waits_for_the_clock() -> None:
    decision = decide(MANUAL, facts(requested_at=NOON + SECOND))
    assert decision == Waiting("not yet due", NOON + SECOND)


@pytest.mark.parametrize("schedule", [MANUAL, NIGHTLY])
def test_a_request_waits_for_what_was_asked_for_above_before(schedule: View) -> None:
    def waits(requested_at: datetime | None) -> Decision:
        above = upstream("x", requested_at=requested_at)
        return decide(schedule, asked(as_of=None, upstreams=(above, upstream("y"))))

    assert waits(NOON - HOUR) == waits(NOON - SECOND) == Waiting("waits for x: asked for, too")
    # One that can't begin holds up nobody's schedule for ever.
    assert isinstance(waits(NOON - HOUR - SECOND), Due)
    assert waits(NOON) == waits(None) == Due(Trigger.MANUAL, NOON - SECOND, 1, NOON - SECOND)


def test_a_request_that_failed_for_good_is_over() -> None:
    failed = run(due_at=NOON - SECOND, failure=FailureReason.DEFINITION)
    known = asked(unsuccessful=(failed,))
    assert decide(MANUAL, known) == Idle(None)
    assert undischarged(MANUAL, known) is None
    assert isinstance(decide(NIGHTLY, asked(as_of=None, unsuccessful=(failed,))), Due)


def test_a_request_that_waits_to_be_retried_holds_up_no_schedule() -> None:
    failed = (run(due_at=NOON - SECOND, started_at=NOON, finished_at=NOON),)
    due = decide(NIGHTLY, asked(as_of=NOON - DAY, unsuccessful=failed))
    assert due == Due(Trigger.SCHEDULE, THREE, 1, THREE)
    waiting = decide(NIGHTLY, asked(unsuccessful=failed))
    assert isinstance(waiting, Waiting)
    assert waiting.until is not None
    assert NOON < waiting.until < NOON + 3 * SECOND


def test_a_request_that_waits_to_be_retried_wakes_for_the_schedule() -> None:
    often = view(schedule=Every(every=SECOND))
    failed = (run(due_at=NOON, started_at=NOON, finished_at=NOON),)
    known = facts(requested_at=NOON, as_of=NOON - INSTANT, unsuccessful=failed)
    following = instants.next_after(often.schedule, "v", NOON)
    assert decide(often, known) == Waiting("attempt 2 of 3 after lock_timeout", following)


def test_a_request_counts_for_what_reads_the_view() -> None:
    assert undischarged(MANUAL, asked()) == NOON - SECOND
    assert undischarged(NIGHTLY, asked(as_of=NOON - DAY)) == THREE


# ── after: upstream ──────────────────────────────────────────────────────────────────────────────


def newer(name: str = "u", **fields: Any) -> Any:
    return upstream(name, **{"as_of": NOON - MINUTE, **fields})


def behind(name: str = "x", **fields: Any) -> Any:
    return upstream(name, **{"undischarged": NOON - 2 * MINUTE, **fields})


def test_newer_contents_above_make_a_view_due() -> None:
    decision = decide(FOLLOWING, facts(upstreams=(newer(), upstream("other"))))
    assert decision == Due(Trigger.UPSTREAM, NOON - MINUTE, 1, NOON - MINUTE)


def test_without_newer_contents_there_is_nothing_to_do() -> None:
    assert decide(FOLLOWING, facts(upstreams=(upstream(), behind()))) == Idle(None)
    assert decide(FOLLOWING, facts()) == Idle(None)
    assert decide(FOLLOWING, facts(as_of=None)) == Idle(None)


def test_an_upstream_that_was_never_read_is_newer() -> None:
    decision = decide(FOLLOWING, facts(upstreams=(upstream(seen_as_of=None),)))
    assert isinstance(decision, Due)


def test_a_view_without_contents_has_read_nothing() -> None:
    known = facts(as_of=None, upstreams=(upstream(), behind(as_of=NOON - HOUR)))
    decision = decide(FOLLOWING, known)
    assert decision == Due(Trigger.UPSTREAM, NOON - HOUR, 1, NOON - HOUR)


def test_the_newest_contents_above_count() -> None:
    known = facts(upstreams=(newer("a"), newer("b", as_of=NOON - SECOND)))
    decision = decide(FOLLOWING, known)
    assert isinstance(decision, Due)
    assert decision.due_at == NOON - SECOND


def test_contents_that_were_refreshed_while_the_old_ones_were_read_are_due_afterwards() -> None:
    # The upstream began two minutes ago and committed just now; this view read it a minute ago.
    late = newer(as_of=NOON - 2 * MINUTE)
    decision = decide(FOLLOWING, facts(as_of=NOON - MINUTE, upstreams=(late,)))
    assert isinstance(decision, Due)
    assert decision.due_at == NOON - MINUTE + INSTANT


def test_an_upstream_that_is_behind_is_waited_for_by_name() -> None:
    decision = decide(FOLLOWING, facts(upstreams=(newer(), behind())))
    assert decision == Waiting("waits for x (due since 2026-05-05 11:58:00 UTC)")


def test_an_upstream_that_failed_is_waited_for_by_name_and_failure() -> None:
    broken = behind(failure=FailureReason.PERMISSION)
    decision = decide(FOLLOWING, facts(upstreams=(newer(), broken, behind("y"))))
    assert decision == Waiting(
        "waits for x (failed: permission), y (due since 2026-05-05 11:58:00 UTC)"
    )


@pytest.mark.parametrize(
    "other",
    [
        behind(paused=True),
        behind(undischarged=NOON - SECOND),
        behind(as_of=NOON - 90 * SECOND),
    ],
    ids=["paused", "behind only since later", "newer itself"],
)
def test_some_upstreams_are_not_waited_for(other: Any) -> None:
    assert isinstance(decide(FOLLOWING, facts(upstreams=(newer(), other))), Due)


@pytest.mark.parametrize("paused", [False, True])
def test_an_upstream_without_contents_is_waited_for(paused: bool) -> None:  # noqa: FBT001 - a parameter
    empty = upstream("x", as_of=None, paused=paused)
    decision = decide(FOLLOWING, facts(upstreams=(newer(), empty)))
    assert decision == Waiting("waits for x: not refreshed yet")


def test_jitter_puts_the_start_off_but_not_the_instant() -> None:
    jittery = view(schedule=AfterUpstream(jitter=10 * MINUTE))
    known = {"as_of": NOON - HOUR, "upstreams": (newer(),)}
    start = decide(jittery, facts(**known))
    assert isinstance(start, Waiting)
    assert start.reason == "jitter"
    assert start.until is not None
    then = decide(jittery, facts(now=start.until, **known))
    assert then == Due(Trigger.UPSTREAM, NOON - MINUTE, 1, NOON - MINUTE)


def test_jitter_gives_way_to_an_upstream_that_is_refreshed_more_often() -> None:
    jittery = view(schedule=AfterUpstream(jitter=HOUR))
    known = facts(as_of=NOON - 2 * MINUTE, now=NOON, upstreams=(newer(as_of=NOON - MINUTE),))
    assert isinstance(decide(jittery, known), Due)


def test_other_schedules_do_not_wait_for_upstreams() -> None:
    known = facts(as_of=NOON - DAY, upstreams=(upstream(as_of=None), behind()))
    assert isinstance(decide(NIGHTLY, known), Due)


def test_a_wait_is_passed_on_downstream() -> None:
    assert undischarged(FOLLOWING, facts(upstreams=(behind(),))) == NOON - 2 * MINUTE
    assert undischarged(FOLLOWING, facts(upstreams=(behind(paused=True),))) is None
    assert undischarged(FOLLOWING, facts(upstreams=(newer(),))) == NOON - 2 * HOUR
    assert undischarged(FOLLOWING, facts(upstreams=(upstream(),))) is None


# ── what is next, and what was missed ────────────────────────────────────────────────────────────


def test_what_is_pending_is_next() -> None:
    assert next_due_at(NIGHTLY, facts(as_of=NOON - 2 * DAY)) == THREE
    assert next_due_at(NIGHTLY, facts()) == NEXT_THREE
    assert next_due_at(NIGHTLY, facts(paused=True)) is None
    assert next_due_at(FOLLOWING, facts(upstreams=(newer(), behind()))) == NOON - MINUTE
    assert next_due_at(FOLLOWING, facts(upstreams=(upstream(),))) is None
    assert next_due_at(MANUAL, facts()) is None


def test_all_but_one_instant_of_a_success_are_misfires() -> None:
    assert misfires(NIGHTLY, THREE - 3 * DAY, THREE) == 2
    assert misfires(NIGHTLY, THREE - DAY, THREE) == 0
    assert misfires(NIGHTLY, THREE, NOON) == 0
    assert misfires(NIGHTLY, None, NOON) == 0
    assert misfires(FOLLOWING, THREE, NOON) == 0


@given(schedule=st.one_of(everies(), crons()), begin=moments(), data=st.data())
def test_every_instant_is_discharged_once_or_counted(
    schedule: Every | Cron, begin: datetime, data: st.DataObject
) -> None:
    scheduled, instant = view(schedule=schedule), begin
    for _ in range(20):
        following = instants.next_after(schedule, "v", instant)
        assert following is not None
        instant = following
    span = instant - begin
    shares = data.draw(st.lists(st.floats(0, 1), max_size=12))
    successes = [begin, *sorted(begin + span * share for share in shares), instant]
    discharging = [
        misfires(scheduled, previous, as_of)
        for previous, as_of in pairwise(successes)
        if instants.count(schedule, "v", previous, as_of)
    ]
    assert sum(1 + missed for missed in discharging) == 20
