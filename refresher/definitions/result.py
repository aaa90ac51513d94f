"""What becomes of steps. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from refresher.definitions.step import Step


class StepOutcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It waits for a step that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What became of a step."""

    step: Step
    outcome: StepOutcome
    detail: str | None
    """What there is to say: rows and time, the error, or what it waits for."""
    seconds: float
