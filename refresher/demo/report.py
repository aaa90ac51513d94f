"""Before and after, side by side: measured readings, shown to people or given to programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from refresher.demo.incident import Reading
from refresher.durations import format_duration
from refresher.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the demo measured."""

    before: Reading
    count: Reading
    after: Reading
    runs: Sequence[Run]
    """Newest first."""

    def as_json(self) -> dict[str, Any]:
        """The report as `refresher demo --json` prints it; durations are seconds."""
        before, count, after = self.before, self.count, self.after
        return {
            "before": {
                "role": before.role,
                "sqlstate": before.sqlstate,
                "seconds": before.seconds,
            },
            "count": {"role": count.role, "rows": count.rows, "seconds": count.seconds},
            "after": {"role": after.role, "rows": after.rows, "seconds": after.seconds},
            "runs": [run.as_json() for run in self.runs],
        }


def comparison(before: Reading, count: Reading, after: Reading) -> Table:
    """The readings side by side."""
    table = Table(
        Column("read", min_width=13),
        Column("before", min_width=9),
        Column("after", min_width=6),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_row(f"first page as {before.role}", outcome(before), outcome(after))
    table.add_row(f"count(*) as {count.role}", outcome(count), "")
    return table


def outcome(reading: Reading) -> str:
    """How a reading went, in words."""
    duration = format_duration(timedelta(seconds=reading.seconds))
    if reading.sqlstate is not None:
        return f"died after {duration}: statement timeout ({reading.sqlstate})"
    return f"{reading.rows:,} rows in {duration}"
