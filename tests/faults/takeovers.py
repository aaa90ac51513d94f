"""Who went on with what a killed daemon was at, and how soon. Pure."""

from dataclasses import dataclass
from datetime import datetime

from refresher.runs import Run
from tests.faults.history import Kill, Observations, pid_of


@dataclass(frozen=True, slots=True)
class Takeover:
    """A run that was killed, and how long it took until another one of its view began."""

    view: str
    lost: int
    killed_at: datetime
    seconds: float | None
    """None if none ever did."""


def end_of(seen: Observations, pid: int, since: datetime) -> Kill | None:
    """How the daemon was killed that had this process id at that moment; None if it was not.

    Of many daemons some have the number of one that is long dead.
    """
    later = (kill for kill in seen.kills if kill.pid == pid and kill.at >= since)
    return min(later, key=lambda kill: kill.at, default=None)


def takeovers(seen: Observations) -> list[Takeover]:
    """One for each run that a killed daemon was at."""
    return [
        Takeover(run.view, run.id, kill.at, _next_start(seen, run, kill))
        for run in seen.runs
        if not run.succeeded
        and (kill := end_of(seen, pid_of(run.worker), run.started_at)) is not None
        and (run.finished_at is None or run.finished_at >= kill.at)
    ]


def _next_start(seen: Observations, lost: Run, kill: Kill) -> float | None:
    """Seconds until another daemon began; 0 if it held the fence that this one only tried for."""
    taken = {success.run: success.taken_at for success in seen.successes}
    others = [run for run in seen.runs if run.view == lost.view and run.worker != lost.worker]
    begun = [
        *(taken[run.id] for run in others if run.id in taken and _lasted_until(run, kill.at)),
        *(run.started_at for run in others if not run.succeeded and run.started_at > kill.at),
    ]
    return max((min(begun) - kill.at).total_seconds(), 0.0) if begun else None


def _lasted_until(run: Run, moment: datetime) -> bool:
    return run.finished_at is not None and run.finished_at >= moment
