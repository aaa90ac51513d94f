"""Those who refresh the same views without refresher: pgbench at full speed, and pg_cron."""

import math
import os
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from refresher import embedded
from tests.bench.ground import DATABASE, Ground
from tests.bench.lateness import Lateness
from tests.bench.progress import Progress, wait_for

CRON_JOBS = 500
_DEBIAN = Path("/usr/lib/postgresql/15/bin")
_CRON_LIBRARY = Path("/usr/lib/postgresql/15/lib/pg_cron.so")
_CRON_SECONDS = 180.0

INSTALL_CRON = "apt-get install postgresql-15 postgresql-15-cron"
INSTALL_PGBENCH = "apt-get install postgresql-contrib"

# Each client has its own share of the views: nobody waits for another's lock.
_SCRIPT = """\\set done :done + 1
\\set view :client_id * :statements + :done
REFRESH MATERIALIZED VIEW CONCURRENTLY bench_:view
"""


def debian_with_cron() -> Path | None:
    """Where the PostgreSQL is that has pg_cron."""
    return _DEBIAN if (_DEBIAN / "postgres").exists() and _CRON_LIBRARY.exists() else None


def cron_settings() -> dict[str, str]:
    """What a server needs for pg_cron: as many jobs at once as it runs by itself, 32."""
    return {
        "shared_preload_libraries": "pg_cron",
        "cron.database_name": "postgres",
        "cron.use_background_workers": "on",
        "cron.max_running_jobs": "32",
        "max_worker_processes": "48",
    }


def pgbench(ground: Ground, views: int, clients: int) -> float | None:
    """Refreshes a second by as many clients that do nothing else; None without pgbench."""
    program = shutil.which("pgbench", path=f"{embedded.binaries()}:{os.environ['PATH']}:{_DEBIAN}")
    if program is None:
        return None
    statements = max(1, views // clients)
    script = ground.home / "refresh.pgbench"
    script.write_text(_SCRIPT)
    began = time.monotonic()
    subprocess.run(
        [
            *(program, "--no-vacuum", f"--client={clients}", f"--jobs={min(clients, 2)}"),
            *(f"--transactions={statements}", f"--file={script}", "--define=done=0"),
            *(f"--define=statements={statements}", ground.conninfo),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return clients * statements / (time.monotonic() - began)


def pg_cron(ground: Ground, views: int, progress: Progress) -> Lateness:
    """What pg_cron makes of many jobs that are due at one minute."""
    jobs = min(views, CRON_JOBS)
    with ground.connect_beside() as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_cron")
        instant = next_minute(5)
        progress.tell(f"waiting for {instant:%H:%M} with {jobs} jobs of pg_cron")
        connection.execute(
            "SELECT cron.schedule_in_database('bench_' || n, %s,"
            " 'REFRESH MATERIALIZED VIEW CONCURRENTLY bench_' || n, %s)"
            " FROM generate_series(1, %s::int) AS n",
            [f"{instant.minute} {instant.hour} * * *", DATABASE, jobs],
        )

        def ended() -> int:
            row = connection.execute(
                "SELECT count(*) AS count FROM cron.job_run_details WHERE end_time IS NOT NULL"
            ).fetchone()
            assert row is not None
            return int(row["count"])

        wait_for(ended, jobs, _CRON_SECONDS, progress, "pg_cron refreshes, all due at once")
        rows = connection.execute(
            "SELECT start_time, end_time, status FROM cron.job_run_details"
        ).fetchall()
        connection.execute("SELECT cron.unschedule(jobid) FROM cron.job")
        connection.execute("DELETE FROM cron.job_run_details")
    assert all(row["status"] == "succeeded" for row in rows), rows
    return Lateness.of([(instant, row["start_time"], row["end_time"]) for row in rows])


def next_minute(notice: float) -> datetime:
    """The first whole minute that is at least so many seconds away."""
    later = datetime.now(UTC) + timedelta(seconds=notice)
    return datetime.fromtimestamp(math.ceil(later.timestamp() / 60) * 60, UTC)
