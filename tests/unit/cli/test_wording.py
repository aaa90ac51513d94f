from typing import Any

import pytest

from refresher.cli.wording import describe_run
from refresher.errors import FailureReason
from refresher.runs import Outcome, Strategy
from tests.unit.builders import NOON, run

SUCCESS: dict[str, Any] = {
    "outcome": Outcome.SUCCEEDED,
    "failure": None,
    "strategy": Strategy.CONCURRENT,
    "duration_seconds": 0.3,
    "rows": 15_549,
    "rows_inserted": 12,
    "rows_updated": 3,
    "rows_deleted": 0,
    "as_of": NOON,
}
AS_OF = NOON.astimezone().isoformat(sep=" ", timespec="seconds")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            SUCCESS,
            f"v: succeeded in 300ms, concurrent, 15,549 rows (+12 ~3 -0), as of {AS_OF}",
        ),
        (
            {"outcome": Outcome.FAILED, "duration_seconds": 5.0, "error": "no lock"},
            "v: failed after 5.0s: lock_timeout: no lock",
        ),
        (
            {
                "outcome": Outcome.FAILED,
                "failure": FailureReason.CHECK,
                "attempt": 3,
                "duration_seconds": 1.0,
                "error": "check min_rows: 2 rows",
            },
            "v: failed after 1.0s at attempt 3: check: check min_rows: 2 rows",
        ),
        (
            {"outcome": Outcome.CANCELLED, "failure": None, "duration_seconds": 2.0},
            "v: cancelled after 2.0s; the old contents stay",
        ),
        (
            {
                "outcome": Outcome.CANCELLED,
                "strategy": Strategy.COLUMNS,
                "failure": None,
                "duration_seconds": 2.0,
            },
            "v: cancelled after 2.0s; what is written stays, and the next one goes on",
        ),
        ({"outcome": None, "failure": None}, "v: running"),
    ],
)
def test_one_line_says_how_a_run_went(fields: dict[str, Any], line: str) -> None:
    assert describe_run(run(**fields)) == line


def test_a_run_that_was_joined_is_not_claimed() -> None:
    assert describe_run(run(**SUCCESS), joined=True).startswith(
        "v: joined a refresh in flight that succeeded in 300ms"
    )
