"""Waking up at instants. APScheduler keeps the time; what is due is decided elsewhere, anew.

One job a key, at one instant: a wake-up that is lost, late or doubled changes nothing, because
whoever is woken reads the database and decides from that, and looks again every two seconds anyway.
So none of APScheduler's own notions of cron, misfires or coalescing is used.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime

from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger


class Wakeups:
    """Calls back with a key at the instant that was set for it."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        self._wake = wake
        self._instants: dict[str, datetime] = {}
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            jobstores={"default": MemoryJobStore()},
            # The call is an Event.set(): it runs in the scheduler's own thread.
            executors={"default": DebugExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        """Begin to keep time, in a thread of its own."""
        self._scheduler.start()

    def stop(self) -> None:
        """Wake nobody any more."""
        self._scheduler.shutdown(wait=False)

    @property
    def alive(self) -> bool:
        """Whether the thread that keeps time runs; `running` alone would not tell."""
        thread = self._scheduler._thread  # noqa: SLF001 - APScheduler 3 has no public way to ask
        return thread is not None and thread.is_alive()

    def at(self, key: str, instant: datetime) -> None:
        """Wake `key` at this instant of the local clock, instead of what was set before."""
        if self._instants.get(key) == instant:
            return
        self._instants[key] = instant
        self._scheduler.add_job(
            self._fire,
            trigger=DateTrigger(instant),
            args=(key,),
            id=key,
            replace_existing=True,
        )

    def never(self, key: str) -> None:
        """Wake `key` no more."""
        if self._instants.pop(key, None) is not None:
            with contextlib.suppress(JobLookupError):  # it fires at this very moment
                self._scheduler.remove_job(key)

    def _fire(self, key: str) -> None:
        self._instants.pop(key, None)
        self._wake(key)
