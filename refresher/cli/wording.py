"""What commands have in common to say of runs and of views."""

from typing import assert_never

from refresher.cli import render
from refresher.freshness import Distrust
from refresher.runs import Outcome, Run, Strategy

DISTRUSTED = {
    Distrust.LINEAGE: "refreshed on another server",
    Distrust.CLOCK: "refreshed in the future",
}
"""Why the age of contents is unknown, for a table's notes."""


def describe_run(run: Run, *, joined: bool = False) -> str:
    """What happened to a view, as one line."""
    whose = "joined a refresh in flight that " if joined else ""
    took = render.length(run.duration_seconds)
    match run.outcome:
        case Outcome.SUCCEEDED | Outcome.UNCHANGED:
            facts = [
                f"{run.outcome} in {took}",
                run.strategy or "",
                f"{render.count(run.rows or 0, 'row')} ({churn(run)})",
                f"as of {render.moment(run.as_of)}",
            ]
            return f"{run.view}: {whose}{', '.join(filter(None, facts))}"
        case Outcome.FAILED:
            attempt = f" at attempt {run.attempt}" if run.attempt > 1 else ""
            return f"{run.view}: failed after {took}{attempt}: {problem(run)}"
        case Outcome.CANCELLED:
            filling = run.strategy is Strategy.COLUMNS
            stays = (
                "what is written stays, and the next one goes on"
                if filling
                else "the old contents stay"
            )
            return f"{run.view}: cancelled after {took}; {stays}"
        case None:
            return f"{run.view}: running"
        case other:
            assert_never(other)


def churn(run: Run) -> str:
    """Rows that came, changed and went."""
    inserted, updated, deleted = run.rows_inserted, run.rows_updated, run.rows_deleted
    return f"+{inserted or 0:,} ~{updated or 0:,} -{deleted or 0:,}"


def problem(run: Run) -> str:
    """Why a run failed: its reason, and what PostgreSQL said."""
    return ": ".join(filter(None, (run.failure, run.error)))
