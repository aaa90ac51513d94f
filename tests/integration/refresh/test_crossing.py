"""What two replicas do to each other that try the same view at the same moment."""

from refresher.errors import FailureReason
from refresher.postgres.sessions import Connection
from refresher.refresh.task import NotBegun, Obstacle
from refresher.store.presence import close_lost_runs
from tests.integration.refresh.conftest import Background, Workshop
from tests.waiting import wait_until

_GATE = 4711

# With the gate closed, an attempt stops where it has its snapshot and not yet the fence.
_GATED_SLOTS = f"""
ALTER TABLE refresher.slot RENAME TO open_slot;
CREATE VIEW refresher.slot AS
SELECT number, xmax FROM refresher.open_slot
WHERE pg_advisory_xact_lock_shared({_GATE}) IS NOT NULL
"""


def test_a_success_after_our_snapshot_is_no_failure(
    workshop: Workshop, bystander: Connection
) -> None:
    view = workshop.view("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    workshop.execute(_GATED_SLOTS)
    with workshop.connection.transaction():
        workshop.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        attempt = Background(workshop.attempt(view))
        _wait_for_lock(bystander, "relation")
        bystander.execute("SELECT pg_advisory_lock(%s)", [_GATE])
    _wait_for_lock(bystander, "advisory")
    bystander.execute("UPDATE refresher.fence SET taken_at = clock_timestamp() WHERE view = 'm'")
    bystander.execute("SELECT pg_advisory_unlock(%s)", [_GATE])
    assert attempt.result() == NotBegun(Obstacle.FENCE)
    assert len(workshop.history(view)) == 1


def test_a_record_that_was_closed_as_lost_stands_as_it_was_counted(
    workshop: Workshop, bystander: Connection
) -> None:
    view = workshop.view("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    with workshop.connection.transaction():
        workshop.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        attempt = Background(workshop.attempt(view))
        _wait_for_lock(bystander, "relation")
        # Nobody has heard of its process for long: it was stopped, say.
        bystander.execute("UPDATE refresher.run SET started_at = started_at - interval '1 minute'")
        (closed,) = close_lost_runs(bystander, worker="test/other", in_flight=())
    assert attempt.result() == NotBegun(Obstacle.DISCHARGED)
    assert workshop.history(view)[0] == closed
    assert workshop.tallies(view)["failures", "lost"] == 1


def test_a_source_that_can_t_be_locked_is_not_rewritten_unseen(
    workshop: Workshop, bystander: Connection
) -> None:
    """A materialized view can't be locked, and a snapshot sees its new rows or none."""
    workshop.execute("CREATE TABLE other (id int)")
    workshop.refresh(workshop.view("base", "SELECT id, v FROM t"))
    view = workshop.view("m", "SELECT id, v FROM base WHERE id NOT IN (SELECT id FROM other)")
    with bystander.transaction():
        bystander.execute("LOCK TABLE other")
        attempt = Background(workshop.attempt(view))
        _wait_for_lock(workshop.connection, "relation")
        workshop.execute("REFRESH MATERIALIZED VIEW base")
    assert attempt.run().failure is FailureReason.SERIALIZATION
    assert not workshop.state(view).populated


def _wait_for_lock(connection: Connection, kind: str) -> None:
    def waits() -> bool:
        row = connection.execute(
            "SELECT count(*) AS waiting FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = %s",
            [kind],
        ).fetchone()
        return row is not None and row["waiting"] > 0

    wait_until(waits, what=f"an attempt that waits for a lock: {kind}")
