"""A run that fills columns, from its record to its end."""

from dataclasses import replace

import pytest

from refresher.config.model import Checks, View
from refresher.errors import FailureReason
from refresher.events import RunFinished, RunProgressed, RunStarted, VerifyMismatch
from refresher.refresh.attempt import Attempt
from refresher.refresh.session import Session
from refresher.refresh.task import NotBegun, Obstacle
from refresher.runs import Outcome, Strategy
from tests.integration.refresh.conftest import Background, Workshop
from tests.waiting import wait_until


@pytest.fixture
def filled(workshop: Workshop) -> View:
    workshop.execute(
        "CREATE TABLE filled (id int PRIMARY KEY, v int, w int NOT NULL DEFAULT 0);"
        "INSERT INTO filled (id) SELECT g FROM generate_series(1, 12) AS g"
    )
    return workshop.columns("f", "SELECT id, v FROM t", table="filled", columns=("v",))


def paced(view: View) -> View:
    """The same, but slow: some batches, and seconds."""
    assert view.fills is not None
    return replace(view, fills=replace(view.fills, max_rows_per_second=4))


def values(workshop: Workshop) -> list[int | None]:
    return [row["v"] for row in workshop.execute("SELECT v FROM filled ORDER BY id")]


def test_a_run_is_recorded_and_told_as_any_other(workshop: Workshop, filled: View) -> None:
    assert not workshop.state(filled).populated
    run = workshop.refresh(filled)
    assert (run.outcome, run.strategy) == (Outcome.SUCCEEDED, Strategy.COLUMNS)
    assert (run.rows, run.rows_inserted, run.rows_updated, run.rows_deleted) == (10, 0, 10, 0)
    assert values(workshop) == [*range(1, 11), None, None]
    state = workshop.state(filled)
    assert state.populated
    assert state.as_of == state.data_as_of == run.as_of
    assert workshop.tallies(filled) == {("runs", "columns/succeeded"): 1, ("rows", "update"): 10}
    kinds = [type(event) for event in workshop.events]
    assert kinds == [RunStarted, RunProgressed, RunFinished]
    assert workshop.refresh(filled).rows_updated == 0


def test_what_is_written_is_as_of_the_snapshot(workshop: Workshop, filled: View) -> None:
    """Whatever is committed to the sources while it is written is for the next one."""
    task = workshop.task(filled)
    workshop.execute("INSERT INTO t VALUES (11, 11)")
    run = workshop.refresh(filled)
    assert run.as_of is not None
    assert run.as_of > task.due_at
    assert values(workshop)[-2:] == [11, None]


def test_a_broken_check_writes_nothing(workshop: Workshop, filled: View) -> None:
    workshop.refresh(filled)
    workshop.execute("DELETE FROM t WHERE id > 5")
    strict = workshop.refresh(filled)  # it shrinks, and may
    assert strict.rows_updated == 5
    for checks in (
        Checks(min_rows=6),
        Checks(not_null=("v",), assertion="SELECT count(*) = 7 FROM f"),
        Checks(assertion="SELECT bool_and(v < 3) FROM f"),
    ):
        run = workshop.refresh(replace(filled, checks=checks))
        assert run.failure is FailureReason.CHECK
    assert values(workshop)[:6] == [1, 2, 3, 4, 5, None]


def test_rows_that_a_trigger_changes_back_are_told(workshop: Workshop, filled: View) -> None:
    workshop.execute(
        "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN NEW.v = 7; RETURN NEW; END$$;"
        "CREATE TRIGGER stay BEFORE UPDATE ON filled FOR EACH ROW EXECUTE FUNCTION stay()"
    )
    run = workshop.refresh(filled)
    assert run.succeeded
    assert (run.reason or "").endswith("; 9 rows did not keep what was written")
    (told,) = [event for event in workshop.events if isinstance(event, VerifyMismatch)]
    assert (told.view, told.rows, told.of) == ("f", 9, 10)


def test_nobody_begins_between_two_batches(
    workshop: Workshop, filled: View, other_session: Session
) -> None:
    """Nor while the writing rests, waits, or is paced."""
    task = workshop.task(paced(filled))
    attempt = Background(Attempt(other_session, task, workshop.events.append))
    writing = "SELECT rows_done FROM refresher.filling WHERE rows_done > 0"
    wait_until(lambda: workshop.execute(writing), what="the first batch")
    assert workshop.state(filled).running
    assert workshop.state(filled).rows_total == 10
    assert workshop.obstacle(filled) is Obstacle.FENCE
    assert len(workshop.history(filled)) == 1
    assert attempt.run().succeeded
    assert not workshop.state(filled).running
    assert workshop.state(filled).rows_total is None


def test_a_run_that_was_taken_over_leaves_the_rest(
    workshop: Workshop, filled: View, other_session: Session
) -> None:
    task = workshop.task(paced(filled))
    attempt = Background(Attempt(other_session, task, workshop.events.append))
    writing = "SELECT rows_done FROM refresher.filling WHERE rows_done > 0"
    wait_until(lambda: workshop.execute(writing), what="the first batch")
    # As if it had been stopped for longer than three seconds.
    workshop.execute("UPDATE refresher.fence SET taken_at = now() - interval '1 h', run = NULL")
    run = workshop.refresh(filled)
    assert run.succeeded
    assert attempt.result() == NotBegun(Obstacle.FENCE)
    assert [each.id for each in workshop.history(filled)] == [run.id]
    assert values(workshop) == [*range(1, 11), None, None]
