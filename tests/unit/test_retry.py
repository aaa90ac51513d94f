from datetime import timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.config.model import Retry
from refresher.errors import FailureReason
from refresher.refresh.retry import First, GiveUp, NextAttempt, RetryAt, next_attempt
from refresher.runs import Outcome, Run
from tests.unit.builders import DAY, HOUR, MINUTE, NOON, SECOND, ZONES, run

RETRY = Retry(attempts=4, backoff=2 * SECOND, max_backoff=MINUTE)

PASSING = {
    FailureReason.LOCK_TIMEOUT,
    FailureReason.DEADLOCK,
    FailureReason.SERIALIZATION,
    FailureReason.CONNECTION,
    FailureReason.RESOURCES,
    FailureReason.LOST,
}


def after(*unsuccessful: Run, retry: Retry = RETRY, view: str = "v") -> NextAttempt:
    return next_attempt(retry, view, NOON, unsuccessful)


def failures(count: int, **fields: Any) -> list[Run]:
    """So many failures of one instant, one after the other."""
    return [run(attempt=number + 1, **fields) for number in range(count)]


def wait(failed: int, retry: Retry = RETRY, view: str = "v") -> timedelta:
    """How long after its end the last of some failures is followed by another attempt."""
    decision = after(*failures(failed), retry=retry, view=view)
    assert isinstance(decision, RetryAt)
    return decision.at - (NOON + SECOND)


def test_the_first_attempt_waits_for_nothing() -> None:
    assert after() == First()


def test_a_failure_is_tried_again_after_a_while() -> None:
    decision = after(run())
    assert isinstance(decision, RetryAt)
    assert decision.attempt == 2
    assert decision.reason == "attempt 2 of 4 after lock_timeout"


@pytest.mark.parametrize(("failed", "base"), [(1, 2), (2, 4), (3, 8)])
def test_each_wait_doubles_and_is_spread_by_a_quarter(failed: int, base: int) -> None:
    waits = {wait(failed, view=f"view_{number}") for number in range(200)}
    assert 0.75 * base <= min(waits).total_seconds() < 0.8 * base
    assert 1.2 * base < max(waits).total_seconds() < 1.25 * base


def test_a_wait_ends_at_its_maximum_however_many_failed() -> None:
    patient = Retry(attempts=10_000, backoff=2 * SECOND, max_backoff=MINUTE)
    assert 0.75 * MINUTE <= wait(9_000, retry=patient) < 1.25 * MINUTE


def test_without_a_backoff_there_is_no_wait() -> None:
    assert wait(3, retry=Retry(attempts=4, backoff=timedelta())) == timedelta()


@given(st.sampled_from(ZONES), st.integers(1, 3))
def test_every_replica_finds_the_same_moment_whatever_its_zone(zone: str, failed: int) -> None:
    there = NOON.astimezone(ZoneInfo(zone))
    seen_there = failures(failed, due_at=there)
    assert next_attempt(RETRY, "v", there, seen_there) == after(*failures(failed))


def test_the_wait_of_a_failure_never_changes() -> None:
    # Replicas of two versions work side by side during an upgrade.
    waits = [wait(failed, view="customer_sources").total_seconds() for failed in (1, 2, 3)]
    assert waits == [1.734, 4.904, 8.96]


@pytest.mark.parametrize("failure", list(FailureReason))
def test_only_what_may_pass_is_tried_again(failure: FailureReason) -> None:
    decision = after(run(failure=failure))
    assert isinstance(decision, RetryAt | GiveUp)
    assert isinstance(decision, RetryAt) is (failure in PASSING)
    assert failure in decision.reason


def test_attempts_end_at_their_number() -> None:
    assert isinstance(after(*failures(3)), RetryAt)
    assert after(*failures(4)) == GiveUp("failed 4 times, last with lock_timeout")


def test_replicas_that_fail_at_once_have_made_one_attempt() -> None:
    assert after(run(), run(), run(), run()) == after(run())
    second = [run(attempt=2)] * 3
    assert after(run(), run(), run(), *second) == after(*failures(2))


def test_of_replicas_that_fail_together_the_last_to_end_tells_when_to_try_again() -> None:
    waits_still = run(outcome=None, failure=None, finished_at=None)
    ended_later = run(finished_at=NOON + MINUTE)
    for together in permutations((waits_still, run(), ended_later)):
        assert after(*together) == after(ended_later)


def test_a_single_attempt_is_not_repeated() -> None:
    assert isinstance(after(run(), retry=Retry(attempts=1)), GiveUp)


def test_runs_of_other_due_instants_do_not_count() -> None:
    assert after(run(due_at=NOON - HOUR, failure=FailureReason.PERMISSION)) == First()


def test_a_cancelled_run_is_pending_as_before() -> None:
    cancelled = run(outcome=Outcome.CANCELLED, failure=None, finished_at=NOON + HOUR)
    assert after(cancelled, cancelled, cancelled, cancelled) == First()
    assert after(run(), cancelled) == after(run())


def test_a_run_whose_process_died_counts_from_its_start() -> None:
    opened = run(outcome=None, failure=None, finished_at=None)
    decision = after(opened)
    assert isinstance(decision, RetryAt)
    assert decision.reason == "attempt 2 of 4 after lost"
    assert decision.at - NOON < 2.5 * SECOND


def test_finding_out_late_that_a_run_was_lost_puts_nothing_off() -> None:
    opened = run(outcome=None, failure=None, finished_at=None)
    closed = run(failure=FailureReason.LOST, finished_at=NOON + DAY)
    assert after(closed) == after(opened)
