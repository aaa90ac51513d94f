"""When a due instant that failed is tried again, from its run rows alone. Pure.

Any replica may make the next attempt, so all have to find the same moment: the last end plus
backoff · 2^(n-1), no more than max_backoff, times 0.75 to 1.25 as view, due instant and n have it.
Replicas that tried at once, and waited for the same lock perhaps, made one attempt between them:
their runs bear one number. Cancelled runs are not failures and don't count: a due instant that was
cancelled, by a drain for one, is pending as before. Nor does a run count that is still at work; ask
only when none is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, assert_never

from refresher.config.model import Retry
from refresher.errors import FailureReason
from refresher.names import stable_number
from refresher.runs import Outcome, Run


@dataclass(frozen=True, slots=True)
class First:
    """Nothing failed yet: the first attempt may be made."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Another attempt is due at a moment."""

    at: datetime
    attempt: int
    """Counted from 1, as in `refresher.run`."""
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt at this due instant; the next one starts afresh."""

    reason: str


NextAttempt: TypeAlias = First | RetryAt | GiveUp


def next_attempt(
    retry: Retry, view: str, due_at: datetime, unsuccessful: Sequence[Run]
) -> NextAttempt:
    """Decide on the next attempt at a due instant.

    Args:
        retry: the view's settings.
        view: its name.
        due_at: the due instant.
        unsuccessful: the view's runs since its last success, oldest first. One without an outcome
            belongs to a process that died, and counts as lost.
    """
    failures = [
        run for run in unsuccessful if run.due_at == due_at and run.outcome is not Outcome.CANCELLED
    ]
    if not failures:
        return First()
    failed = max(run.attempt for run in failures)
    last = max((run for run in failures if run.attempt == failed), key=_end)
    failure = _failure(last)
    if not may_pass(failure):
        return GiveUp(f"failed with {failure}, which trying again does not cure")
    if failed >= retry.attempts:
        return GiveUp(f"failed {failed} times, last with {failure}")
    return RetryAt(
        at=_end(last) + _wait(retry, view, due_at, failed),
        attempt=failed + 1,
        reason=f"attempt {failed + 1} of {retry.attempts} after {failure}",
    )


def may_pass(failure: FailureReason) -> bool:
    """Whether the same refresh may succeed a little later, with nothing done about it."""
    match failure:
        case (
            FailureReason.LOCK_TIMEOUT
            | FailureReason.DEADLOCK
            | FailureReason.SERIALIZATION
            | FailureReason.CONNECTION
            | FailureReason.RESOURCES
            | FailureReason.LOST
        ):
            return True
        case (
            FailureReason.STATEMENT_TIMEOUT
            | FailureReason.PERMISSION
            | FailureReason.DEFINITION
            | FailureReason.NOT_UNIQUE
            | FailureReason.CHECK
            | FailureReason.DISK_FULL
            | FailureReason.OTHER
        ):
            return False
        case other:
            assert_never(other)


def _failure(run: Run) -> FailureReason:
    return run.failure or FailureReason.LOST


def _end(run: Run) -> datetime:
    # When a lost run ended nobody knows. Its finished_at says when that was found out, which must
    # not put off a takeover that was due already.
    if _failure(run) is FailureReason.LOST or run.finished_at is None:
        return run.started_at
    return run.finished_at


def _wait(retry: Retry, view: str, due_at: datetime, failed: int) -> timedelta:
    wait = retry.backoff
    for _ in range(failed - 1):
        if wait >= retry.max_backoff:
            break
        wait *= 2
    spread = 750 + stable_number(view, due_at.astimezone(UTC).isoformat(), str(failed)) % 500
    return min(wait, retry.max_backoff) * spread // 1000
