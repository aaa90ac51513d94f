"""What was measured, as a table: a column for each number of views, and what is aimed at."""

from collections.abc import Callable, Sequence

from tests.bench.lateness import Lateness
from tests.bench.load import Measured, Refreshing

_MEGABYTE = 2**20

Cell = Callable[[Measured], str]


def table(measured: Sequence[Measured], minutes: float) -> str:
    """Everything, beside its aim."""
    spread = "a minute" if minutes == 1 else f"{minutes:g} minutes"
    rows: list[tuple[str, Cell, str]] = [
        ("pgbench", lambda one: _rate(one.bare), ""),
        ("pg_cron, 500 due at once", lambda one: _rate(one.cron.rate if one.cron else None), ""),
        *_late(lambda one: one.cron, ""),
        ("refresher, all due at once", lambda one: _rate(one.at_once.lateness.rate), ""),
        ("  beside pgbench", lambda one: _ratio(one, one.bare), "0.7x or more"),
        ("  beside pg_cron", lambda one: _ratio(one, one.cron.rate if one.cron else None), ""),
        *_refreshing(lambda one: one.at_once, ""),
        (f"refresher, due over {spread}", lambda one: _rate(one.spread.lateness.rate), ""),
        *_refreshing(lambda one: one.spread, "100 ms or less, unsaturated"),
        ("daemon, settling: done after", lambda one: _seconds(one.settling.seconds), ""),
        ("  CPU", lambda one: _seconds(one.settling.cpu_seconds), ""),
        ("daemon, idle: memory", lambda one: _bytes(one.idle.memory_bytes), "120 MB at 1,000"),
        ("  memory at most, ever", lambda one: _bytes(one.peak_bytes), ""),
        ("  CPU of one core", lambda one: f"{one.idle.cpu_share:.2%}", "1 % or less"),
        ("  transactions", lambda one: _rate(one.idle.transactions_a_second), ""),
        ("scrape, median", lambda one: _seconds(one.scrape.seconds), "200 ms at 10,000"),
        ("  slowest", lambda one: _seconds(one.scrape.slowest_seconds), ""),
        ("  size", lambda one: _bytes(one.scrape.bytes), ""),
        ("  transactions for each", lambda one: f"{one.scrape.transactions:.1f}", "none"),
    ]
    head = ["", *(f"{one.views:,} views" for one in measured), "aim"]
    lines = [head, *([name, *map(cell, measured), aim] for name, cell, aim in rows)]
    return "\n".join(_line(cells) for cells in lines)


def _refreshing(of: Callable[[Measured], Refreshing], aim: str) -> list[tuple[str, Cell, str]]:
    return [
        *_late(lambda one: of(one).lateness, aim),
        ("  daemon's CPU a refresh", lambda one: _seconds(of(one).cpu_seconds), ""),
    ]


def _late(of: Callable[[Measured], Lateness | None], aim: str) -> list[tuple[str, Cell, str]]:
    def cell(part: Callable[[Lateness], float]) -> Cell:
        return lambda one: _seconds(part(found) if (found := of(one)) else None)

    return [
        ("  all done after", cell(lambda late: late.seconds), ""),
        ("  lateness p50", cell(lambda late: late.p50), ""),
        ("  lateness p99", cell(lambda late: late.p99), aim),
    ]


def _line(cells: Sequence[str]) -> str:
    name, *values, aim = cells
    return f"{name:<30}{''.join(f'{value:>15}' for value in values)}  {aim}".rstrip()


def _ratio(one: Measured, other: float | None) -> str:
    return "-" if other is None else f"{one.at_once.lateness.rate / other:.2f}x"


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1f}/s"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if abs(seconds) < 1 else f"{seconds:.1f} s"


def _bytes(number: int) -> str:
    return f"{number / _MEGABYTE:.1f} MB"
