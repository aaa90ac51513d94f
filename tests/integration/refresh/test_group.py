"""Views of one group: one transaction, one as_of, and all of it or none."""

from dataclasses import replace
from datetime import timedelta
from typing import LiteralString

import pytest
from psycopg.rows import DictRow

from refresher.config.model import Audit, Checks, View
from refresher.errors import FailureReason
from refresher.events import RunFinished
from refresher.postgres.sessions import Connection
from refresher.refresh.attempt import Attempt
from refresher.refresh.session import Session
from refresher.refresh.task import Ended, NotBegun, Obstacle, Task
from refresher.runs import Outcome, Run, Trigger
from refresher.store.state import read_clock
from tests.integration.refresh.conftest import Background, Workshop
from tests.waiting import wait_until


@pytest.fixture
def group(workshop: Workshop) -> list[View]:
    """Three views; the last one, by name the first, reads the others."""
    views = [
        workshop.view("low", "SELECT id, v FROM t WHERE v <= 5", group="all"),
        workshop.view("high", "SELECT id, v FROM t WHERE v > 5", group="all"),
        workshop.view(
            "best", "SELECT id, v FROM low UNION ALL SELECT id, v FROM high", group="all"
        ),
    ]
    for view in views:
        assert workshop.refresh(view).outcome is Outcome.SUCCEEDED
    workshop.events.clear()
    return views


def task_of(workshop: Workshop, views: list[View]) -> Task:
    first, *others = [workshop.task(view) for view in views]
    return replace(first, others=tuple(others))


def together(workshop: Workshop, views: list[View]) -> dict[str, Run]:
    task = task_of(workshop, views)
    result = workshop.attempt(task.view, others=task.others, due_at=task.due_at).run()
    assert isinstance(result, Ended), result
    return {run.view: run for run in (result.run, *result.others)}


def test_they_share_one_moment_whatever_reads_what(workshop: Workshop, group: list[View]) -> None:
    workshop.execute("UPDATE t SET v = 11 - v")
    low, high, best = group
    runs = together(workshop, [best, high, low])
    assert {run.outcome for run in runs.values()} == {Outcome.SUCCEEDED}
    assert len({run.as_of for run in runs.values()}) == 1
    assert len(workshop.rows("best")) == 10
    assert sorted(v for _, v in workshop.rows("low")) == [1, 2, 3, 4, 5]
    states = [workshop.state(view) for view in group]
    assert len({state.as_of for state in states}) == 1
    assert {state.data_as_of for state in states} == {states[0].as_of}
    assert states[2].upstreams_seen == {"high": states[0].as_of, "low": states[0].as_of}
    finished = [event.run.view for event in workshop.events if isinstance(event, RunFinished)]
    assert finished[-1] == "best"
    assert sorted(finished) == ["best", "high", "low"]


def test_one_that_fails_rolls_all_back_and_is_named(workshop: Workshop, group: list[View]) -> None:
    low, high, best = group
    before = {view.name: (workshop.state(view).as_of, workshop.rows(view.name)) for view in group}
    strict = replace(high, checks=Checks(min_rows=8))
    workshop.execute("UPDATE t SET v = 11 - v WHERE id < 3")
    runs = together(workshop, [low, strict, best])
    assert {run.outcome for run in runs.values()} == {Outcome.FAILED}
    assert {run.failure for run in runs.values()} == {FailureReason.CHECK}
    assert "min_rows" in (runs["high"].error or "")
    for name in ("low", "best"):
        error = runs[name].error or ""
        assert error.startswith("its group was rolled back: high: ")
        assert "min_rows" in error
    after = {view.name: (workshop.state(view).as_of, workshop.rows(view.name)) for view in group}
    assert after == before
    broken = workshop.execute("SELECT view FROM refresher.broken_check")
    assert [row["view"] for row in broken] == ["high"]


def test_one_that_can_not_be_refreshed_fails_all(workshop: Workshop, group: list[View]) -> None:
    low, high, best = group
    workshop.execute("DROP MATERIALIZED VIEW best")
    runs = together(workshop, [low, high, best])
    assert {run.failure for run in runs.values()} == {FailureReason.DEFINITION}
    assert "does not exist" in (runs["best"].error or "")
    assert (runs["low"].error or "").startswith("its group was rolled back: best: ")


def test_a_busy_member_leaves_no_record_of_any(workshop: Workshop, group: list[View]) -> None:
    numbers = {view.name: len(workshop.history(view)) for view in group}
    with workshop.connection.transaction():
        workshop.execute("SELECT FROM refresher.fence WHERE view = 'high' FOR UPDATE")
        task = task_of(workshop, group)
        result = workshop.attempt(task.view, others=task.others).run()
    assert result == NotBegun(Obstacle.FENCE)
    assert numbers == {view.name: len(workshop.history(view)) for view in group}


WATCHED = """
CREATE FUNCTION watched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(ascii(NEW.view));
    RETURN NEW;
END
$$;
CREATE TRIGGER watched BEFORE UPDATE ON refresher.fence FOR EACH ROW EXECUTE FUNCTION watched();
"""
WAITING = "SELECT 1 AS one FROM pg_locks WHERE NOT granted AND objid = ascii(%s)"
SLOT = "SELECT FROM refresher.slot WHERE number = 1 FOR NO KEY UPDATE NOWAIT"


def test_they_take_one_slot(
    workshop: Workshop, group: list[View], bystander: Connection, other_session: Session
) -> None:
    """The one that another refresh gives back in the meantime is not theirs, too."""
    workshop.execute(WATCHED)
    task = replace(task_of(workshop, group), max_parallel=2)
    first, *_, last = (member.view.name for member in task.in_order())

    def ask(question: LiteralString, name: str) -> list[DictRow]:
        return workshop.connection.execute(question, [name]).fetchall()

    for name in (first, last):
        ask("SELECT pg_advisory_lock(ascii(%s))", name)
    with bystander.transaction():
        bystander.execute(SLOT)
        attempt = Background(Attempt(other_session, task, workshop.events.append))
        wait_until(lambda: ask(WAITING, first), what="the first one at its fence")
    ask("SELECT pg_advisory_unlock(ascii(%s))", first)
    wait_until(lambda: ask(WAITING, last), what="the last one at its fence")
    with bystander.transaction():
        bystander.execute(SLOT)
    ask("SELECT pg_advisory_unlock(ascii(%s))", last)
    assert attempt.run().succeeded


def test_what_is_discharged_for_all_is_not_done_again(
    workshop: Workshop, group: list[View]
) -> None:
    task = task_of(workshop, group)
    together(workshop, group)
    result = workshop.attempt(task.view, others=task.others, due_at=task.due_at).run()
    assert result == NotBegun(Obstacle.DISCHARGED)


def test_one_that_is_newer_already_comes_along(workshop: Workshop, group: list[View]) -> None:
    low, high, best = group
    due_at = read_clock(workshop.connection)
    workshop.refresh(high)
    others = tuple(workshop.task(view, due_at=due_at) for view in (high, best))
    result = workshop.attempt(low, others=others, due_at=due_at, trigger=Trigger.SCHEDULE).run()
    assert isinstance(result, Ended)
    assert len({run.as_of for run in (result.run, *result.others)}) == 1


def test_a_cancelled_group_is_cancelled_as_a_whole(workshop: Workshop, group: list[View]) -> None:
    task = task_of(workshop, group)
    attempt = workshop.attempt(task.view, others=task.others)
    attempt.cancel()
    result = attempt.run()
    assert isinstance(result, Ended)
    assert {run.outcome for run in (result.run, *result.others)} == {Outcome.CANCELLED}


def test_tables_of_a_group_are_merged_one_after_the_other(workshop: Workshop) -> None:
    kept = workshop.table("kept", "SELECT id, v FROM t", group="g")
    sums = workshop.table(
        "sums", "SELECT id % 2 AS id, sum(v) AS v FROM kept GROUP BY 1", group="g"
    )
    views = [sums, kept]
    assert {run.outcome for run in together(workshop, views).values()} == {Outcome.SUCCEEDED}
    workshop.execute("UPDATE t SET v = v + 1")
    runs = together(workshop, views)
    assert {run.rows_updated for run in runs.values()} == {2, 10}
    assert workshop.rows("sums") == [(0, 35), (1, 30)]


def test_tables_of_a_group_are_audited_one_after_the_other(workshop: Workshop) -> None:
    audit = Audit(every=timedelta(hours=1), sample=3)
    views = [
        workshop.table("kept", "SELECT id, v FROM t", group="g", audit=audit),
        workshop.table("odd", "SELECT id, random() AS r FROM t", group="g", audit=audit),
    ]
    assert {run.outcome for run in together(workshop, views).values()} == {Outcome.SUCCEEDED}
    corrected = {view.name: workshop.tallies(view).get(("corrected", ""), 0) for view in views}
    assert corrected == {"kept": 0, "odd": 3}
