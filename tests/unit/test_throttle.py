from typing import Any

import pytest

from refresher.config.model import Throttle
from refresher.runs import Trigger
from refresher.schedule.decision import Decision, Due, Idle, Waiting
from refresher.schedule.throttle import Load, delayed, exceeded, unseen
from tests.unit.builders import HOUR, MINUTE, NOON, SECOND

LIMITS = Throttle(
    replication_lag=30 * SECOND, active_connections=50, oldest_transaction=10 * MINUTE
)


def load(**fields: Any) -> Load:
    """Nothing to do, and everything seen."""
    return Load(
        **{
            "replication_lag": 0 * SECOND,
            "active_connections": 0,
            "oldest_transaction": 0 * SECOND,
            "sees_replication": True,
            "sees_sessions": True,
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (load(), None),
        (load(replication_lag=30 * SECOND), None),
        (load(replication_lag=45 * SECOND), "replication lag 45.0s over 30.0s"),
        (load(active_connections=50), None),
        (load(active_connections=1061), "1,061 active connections over 50"),
        (load(oldest_transaction=10 * MINUTE), None),
        (load(oldest_transaction=HOUR), "oldest transaction 1h over 10m"),
        (
            load(replication_lag=HOUR, active_connections=51),
            "replication lag 1h over 30.0s; 51 active connections over 50",
        ),
    ],
)
def test_what_is_over_its_limit_throttles(found: Load, reason: str | None) -> None:
    assert exceeded(LIMITS, found) == reason


def test_what_has_no_limit_does_not_throttle() -> None:
    busy = load(replication_lag=HOUR, active_connections=1000, oldest_transaction=HOUR)
    assert exceeded(Throttle(), busy) is None
    assert exceeded(Throttle(active_connections=1000), busy) is None


def test_what_is_not_seen_is_said_where_it_has_a_limit() -> None:
    blind = load(sees_replication=False, sees_sessions=False)
    assert unseen(LIMITS, blind) == ("replication_lag", "active_connections", "oldest_transaction")
    assert unseen(Throttle(oldest_transaction=HOUR), blind) == ("oldest_transaction",)
    assert unseen(LIMITS, load()) == unseen(Throttle(), blind) == ()


def test_what_is_seen_of_it_may_be_enough() -> None:
    part = load(active_connections=51, sees_sessions=False)
    assert exceeded(LIMITS, part) == "51 active connections over 50"


def _due(trigger: Trigger) -> Due:
    return Due(trigger, NOON, attempt=1, ready_at=NOON)


@pytest.mark.parametrize("trigger", [Trigger.SCHEDULE, Trigger.UPSTREAM])
def test_what_nobody_asked_for_is_delayed(trigger: Trigger) -> None:
    due = _due(trigger)
    assert delayed(due, populated=True, reason="busy") == Waiting("throttled: busy")
    assert delayed(due, populated=True, reason=None) == due
    assert delayed(due, populated=False, reason="busy") == due


@pytest.mark.parametrize("decision", [_due(Trigger.MANUAL), Waiting("paused"), Idle(NOON)])
def test_everything_else_is_not(decision: Decision) -> None:
    assert delayed(decision, populated=True, reason="busy") == decision
