import json
from dataclasses import asdict

import pytest

from refresher.errors import FailureReason
from refresher.runs import Outcome, Run, Strategy, Trigger
from tests.unit.builders import NOON, SECOND, run


@pytest.mark.parametrize(
    ("outcome", "succeeded"),
    [
        (Outcome.SUCCEEDED, True),
        (Outcome.UNCHANGED, True),
        (Outcome.FAILED, False),
        (Outcome.CANCELLED, False),
        (None, False),
    ],
)
def test_a_success_is_a_run_that_proved_its_as_of(outcome: Outcome, succeeded: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    assert run(outcome=outcome).succeeded is succeeded


def test_a_row_becomes_a_run_and_back() -> None:
    ended = run(strategy=Strategy.CONCURRENT, error="canceling statement due to lock timeout")
    row = {
        name: str(value)
        if isinstance(value, Trigger | Strategy | Outcome | FailureReason)
        else value
        for name, value in asdict(ended).items()
    }
    assert Run.from_row(row) == ended


def test_an_open_row_becomes_a_run_without_outcome() -> None:
    row = asdict(run(outcome=None, failure=None, finished_at=None))
    opened = Run.from_row(row)
    assert (opened.outcome, opened.failure, opened.strategy) == (None, None, None)


def test_json_has_the_documented_fields_and_no_others() -> None:
    fields = run(as_of=NOON, finished_at=NOON + SECOND).as_json()
    documented = (
        "view due_at trigger strategy reason outcome attempt started_at finished_at as_of "
        "duration_seconds queue_wait_seconds lock_wait_seconds rows bytes rows_inserted "
        "rows_updated rows_deleted failure error worker"
    )
    assert set(fields) == set(documented.split())
    read = json.loads(json.dumps(fields))
    assert read["as_of"] == "2026-05-05T12:00:00+00:00"
    assert (read["trigger"], read["outcome"], read["failure"]) == (
        "schedule",
        "failed",
        "lock_timeout",
    )


def test_a_column_of_a_newer_store_is_passed_over() -> None:
    ended = run(outcome=Outcome.FAILED)
    assert Run.from_row({**asdict(ended), "mood": "sour"}) == ended
