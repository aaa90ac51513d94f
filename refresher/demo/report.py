"""What the demo measured, shown to people or given to programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from refresher.demo.incident import Reading, Readings
from refresher.durations import format_duration
from refresher.runs import Run

_DIED, _WELL = "red", "green"
_NAMES_WIDTH = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the demo measured."""

    before: Readings
    after: Readings
    runs: Sequence[Run]
    """Newest first."""

    def as_json(self) -> dict[str, Any]:
        """The report as `refresher demo --json` prints it; durations are seconds."""
        before, count, after = self.before.page, self.before.count, self.after.page
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


def comparison(before: Readings, after: Readings) -> RenderableType:
    """The readings side by side."""
    table = plain_table(
        Column(min_width=13),
        Column("before", min_width=9),
        Column("after", min_width=7),
    )
    for name, read, again in (
        (page_name(before.page), before.page, after.page),
        (count_name(before.count), before.count, after.count),
    ):
        table.add_row(name, outcome(read), outcome(again))
    return indented(table)


def line(name: str, what: RenderableType) -> RenderableType:
    """A line of the story: something, and what became of it, each in its column."""
    table = plain_table(Column(width=_NAMES_WIDTH), Column())
    table.show_header = False
    table.add_row(name, what)
    return indented(table)


def plain_table(*columns: Column) -> Table:
    """A table without a frame."""
    return Table(*columns, box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")


def indented(part: RenderableType) -> RenderableType:
    """Details stand a little to the right of what they belong to."""
    return Padding(part, (0, 0, 0, 2), expand=False)


def page_name(reading: Reading) -> str:
    """What was read, in words."""
    return f"first page as {reading.role}"


def count_name(reading: Reading) -> str:
    """What was counted, in words."""
    return f"count(*) as {reading.role}"


def outcome(reading: Reading) -> Text:
    """How a reading went, in words."""
    duration = length(reading.seconds)
    if reading.sqlstate is not None:
        return Text(f"died after {duration} ({reading.sqlstate})", style=_DIED)
    return Text(f"{reading.rows:,} rows in {duration}", style=_WELL)


def length(seconds: float) -> str:
    """A measured time, for people."""
    return format_duration(timedelta(seconds=seconds))
