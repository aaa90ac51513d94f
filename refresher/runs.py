"""A run: one recorded attempt at a refresh, as a value. Ground floor, pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, assert_never

from refresher.errors import FailureReason


class Trigger(StrEnum):
    """Why a run began."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    UPSTREAM = "upstream"
    POPULATE = "populate"


class Strategy(StrEnum):
    """How a refresh is carried out."""

    FULL = "full"
    CONCURRENT = "concurrent"
    MERGE = "merge"
    COLUMNS = "columns"


class Outcome(StrEnum):
    """How a run ended; a run that is still open has none."""

    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of `refresher.run`. Times are the database's; durations are seconds."""

    id: int
    view: str
    due_at: datetime
    trigger: Trigger
    strategy: Strategy | None = None
    reason: str | None = None
    outcome: Outcome | None = None
    attempt: int
    started_at: datetime
    finished_at: datetime | None = None
    as_of: datetime | None = None
    duration_seconds: float | None = None
    queue_wait_seconds: float | None = None
    lock_wait_seconds: float | None = None
    rows: int | None = None
    bytes: int | None = None
    rows_inserted: int | None = None
    rows_updated: int | None = None
    rows_deleted: int | None = None
    failure: FailureReason | None = None
    error: str | None = None
    worker: str

    @property
    def succeeded(self) -> bool:
        """Whether the run brought the contents up to its as_of."""
        match self.outcome:
            case Outcome.SUCCEEDED | Outcome.UNCHANGED:
                return True
            case Outcome.FAILED | Outcome.CANCELLED | None:
                return False
            case other:
                assert_never(other)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Run":
        """Build a run from a row of `refresher.run`.

        A column that is not known here is passed over: the store may have been upgraded by a newer
        daemon while this one goes on.
        """
        return cls(
            **{
                **{field.name: row[field.name] for field in fields(cls)},
                "trigger": Trigger(row["trigger"]),
                "strategy": row["strategy"] and Strategy(row["strategy"]),
                "outcome": row["outcome"] and Outcome(row["outcome"]),
                "failure": row["failure"] and FailureReason(row["failure"]),
            }
        )

    def as_json(self) -> dict[str, Any]:
        """The run as the JSON every command prints; times are ISO 8601."""
        values = asdict(self)
        del values["id"]
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in values.items()
        }
