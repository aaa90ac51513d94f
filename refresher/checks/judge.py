"""Whether new contents meet a view's checks. Pure."""

from dataclasses import dataclass

from refresher.config.model import Checks


@dataclass(frozen=True, slots=True)
class Broken:
    """A check that the new contents break, in words."""

    check: str
    message: str


def judge_rows(checks: Checks, *, rows: int, previous_rows: int | None) -> Broken | None:
    """Judge the number of rows; `previous_rows` is None where there were no contents before."""
    if checks.min_rows is not None and rows < checks.min_rows:
        return Broken("min_rows", f"{rows:,} rows, fewer than min_rows {checks.min_rows:,}")
    if checks.max_shrink is not None and previous_rows:
        lost = (previous_rows - rows) / previous_rows
        if lost > checks.max_shrink:
            message = (
                f"{rows:,} rows after {previous_rows:,}: {lost:.1%} fewer, more than max_shrink"
                f" {checks.max_shrink:.1%}"
            )
            return Broken("max_shrink", message)
    return None
