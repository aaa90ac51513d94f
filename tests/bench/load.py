"""One number of views, measured: what is usual without refresher, and what its daemon does."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from refresher.postgres.sessions import Connection
from tests.bench import others
from tests.bench.daemon import Daemon, Idle, Scrape, Settling, running
from tests.bench.ground import Ground, small_views, write_config, write_queries
from tests.bench.lateness import Lateness
from tests.bench.progress import Progress, wait_for

_LONGEST_SECONDS = 600.0
_LONGEST_SETTLING_SECONDS = 1800.0
_CALM_SECONDS = 10.0
_READ_A_SECOND = 100
"""What was compared is read once more for the metrics: 500 views every five seconds."""
_NOTICE_SECONDS = 8.0
"""How long before an instant a configuration is written that names it."""

_DONE = (
    "SELECT count(*) AS count FROM refresher.run"
    " WHERE trigger = %s AND due_at >= %s AND outcome = 'succeeded'"
)

_SETTLED = """
SELECT count(*) AS count
FROM refresher.look
WHERE looked_at IS NOT NULL
    AND NOT EXISTS (
        SELECT
        FROM pg_stat_activity
        WHERE application_name = 'refresher vacuum'
            AND (state <> 'idle' OR state_change > clock_timestamp() - interval '5 seconds')
    )
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshing:
    """What the daemon made of views that were due."""

    lateness: Lateness
    cpu_seconds: float
    """Of the daemon, for one refresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything about one number of views."""

    views: int
    bare: float | None
    """Refreshes a second by pgbench; None where it is missing."""
    cron: Lateness | None
    at_once: Refreshing
    spread: Refreshing
    settling: Settling
    idle: Idle
    scrape: Scrape
    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How the views are refreshed."""

    ground: Ground
    views: int
    workers: int
    minutes: float
    """Over which they are due, where they are not due all at once."""
    idle_seconds: float
    progress: Progress

    def measure(self, *, beside_cron: bool) -> Measured:
        """Do it all, one after the other."""
        with small_views(self.ground, self.views, self.progress):
            write_queries(self.ground, self.views)
            cron = others.pg_cron(self.ground, self.views, self.progress) if beside_cron else None
            self._configure("manual")
            self.progress.tell(f"starting the daemon with {self.views:,} views")
            with (
                running(self.ground) as daemon,
                self.ground.connect() as connection,
                self.ground.connect_beside() as beside,
            ):
                self._refresh_by_request(connection)
                settling = self._settle(daemon, connection)
                self.progress.tell(f"idle for {self.idle_seconds:g} s")
                idle = daemon.idle(beside, self.idle_seconds)
                scrape = daemon.scrape(beside, idle)
                # The daemon has nothing to do meanwhile, nor afterwards: no row of theirs changes.
                before = self._bare()
                at_once = self._refresh_by_schedule(daemon, connection, timedelta())
                after = self._bare()
                spread = self._refresh_by_schedule(
                    daemon, connection, timedelta(minutes=self.minutes)
                )
                peak = daemon.peak_bytes
        return Measured(
            views=self.views,
            # Others use the machine, too, and with each refresh catalogs grow that all refreshes
            # read: only neighbours can be compared.
            bare=None if before is None or after is None else (before + after) / 2,
            cron=cron,
            at_once=at_once,
            spread=spread,
            settling=settling,
            idle=idle,
            scrape=scrape,
            peak_bytes=peak,
        )

    def _bare(self) -> float | None:
        self.progress.tell(f"pgbench refreshes {self.views:,} views")
        return others.pgbench(self.ground, self.views, self.workers)

    def _configure(self, schedule: object) -> None:
        write_config(self.ground, self.views, workers=self.workers, schedule=schedule)

    def _refresh_by_request(self, connection: Connection) -> None:
        """The first refresh of each view, which is not measured: it fills tables and caches."""
        row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO refresher.request (view, requested_at, requested_by)"
            " SELECT name, %s, 'bench' FROM refresher.view"
            " ON CONFLICT (view) DO UPDATE SET requested_at = excluded.requested_at",
            [row["now"]],
        )
        self._await(connection, "manual", row["now"], "first refreshes", _LONGEST_SECONDS)

    def _settle(self, daemon: Daemon, connection: Connection) -> Settling:
        """Wait until all views are compared with their definitions, and none is vacuumed."""
        used, began = daemon.cpu_seconds, time.monotonic()

        def compared() -> int:
            row = connection.execute(_SETTLED).fetchone()
            assert row is not None
            return int(row["count"])

        what = "views to be compared with their definitions"
        wait_for(compared, self.views, _LONGEST_SETTLING_SECONDS, self.progress, what)
        time.sleep(_CALM_SECONDS + self.views / _READ_A_SECOND)
        return Settling(seconds=time.monotonic() - began, cpu_seconds=daemon.cpu_seconds - used)

    def _refresh_by_schedule(
        self, daemon: Daemon, connection: Connection, spread: timedelta
    ) -> Refreshing:
        how = f"over {spread}" if spread else "all at once"
        notice = _NOTICE_SECONDS + self.views / 500
        instant = others.next_minute(notice)
        schedule = {"cron": f"{instant.minute} {instant.hour} * * *", "timezone": "UTC"}
        if spread:
            schedule["jitter"] = f"{spread.total_seconds():g}s"
        self.progress.tell(f"waiting for {instant:%H:%M}, when {self.views:,} views are due {how}")
        self._configure(schedule)
        daemon.reload()
        used = daemon.cpu_seconds
        longest = _LONGEST_SECONDS + spread.total_seconds()
        self._await(connection, "schedule", instant, f"refreshes due {how}", longest)
        used = daemon.cpu_seconds - used
        rows = connection.execute(
            "SELECT due_at, started_at, finished_at FROM refresher.run"
            " WHERE trigger = 'schedule' AND due_at >= %s AND outcome = 'succeeded'",
            [instant],
        ).fetchall()
        return Refreshing(
            lateness=Lateness.of(
                [(row["due_at"], row["started_at"], row["finished_at"]) for row in rows]
            ),
            cpu_seconds=used / len(rows),
        )

    def _await(
        self, connection: Connection, trigger: str, since: datetime, what: str, longest: float
    ) -> None:
        def done() -> int:
            row = connection.execute(_DONE, [trigger, since]).fetchone()
            assert row is not None
            return int(row["count"])

        wait_for(done, self.views, longest, self.progress, what)
