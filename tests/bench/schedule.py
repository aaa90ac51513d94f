"""`make bench-schedule`: how many small views a daemon keeps fresh, how punctually, at what cost.

One server, one run. As many views as VIEWS says are due at one moment, and then over MINUTES, and
the daemon refreshes them with four workers; pgbench sends the same statements over as many
connections, and pg_cron has 500 of them due at one minute. Where Debian's PostgreSQL 15 has
pg_cron, everything runs on it.
"""

import argparse
import os
import tempfile
from pathlib import Path

from refresher.embedded.installation import VARIABLE
from tests.bench import others
from tests.bench.ground import prepared
from tests.bench.load import Load
from tests.bench.progress import Progress
from tests.bench.table import table

_WORKERS = 4
_IDLE_SECONDS = 60.0
"""Twice what is done every half minute is inside, whenever it begins."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="make bench-schedule", description=__doc__)
    parser.add_argument("--views", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--minutes", type=float, default=1.0, help="over which views are due")
    parser.add_argument("--workers", type=int, default=_WORKERS)
    parser.add_argument("--idle-seconds", type=float, default=_IDLE_SECONDS)
    options = parser.parse_args()
    programs = others.debian_with_cron() if VARIABLE not in os.environ else None
    if programs is not None:
        os.environ[VARIABLE] = str(programs)
    progress = Progress()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as home,
        prepared(Path(home), others.cron_settings() if programs else {}) as ground,
    ):
        measured = [
            Load(
                ground=ground,
                views=views,
                workers=options.workers,
                minutes=options.minutes,
                idle_seconds=options.idle_seconds,
                progress=progress,
            ).measure(beside_cron=programs is not None and number == 0)
            for number, views in enumerate(options.views)
        ]
    progress.end()
    print(f"PostgreSQL {ground.major}, {os.cpu_count()} cores, {options.workers} workers\n")
    print(table(measured, options.minutes))
    if programs is None:
        print(f"\nNo comparison with pg_cron: {others.INSTALL_CRON}")
    if any(one.bare is None for one in measured):
        print(f"\nNo comparison with pgbench: {others.INSTALL_PGBENCH}")


if __name__ == "__main__":
    main()
