"""A daemon that fills others' columns for the first time is killed, and somebody goes on.

Each time in a database of its own, at a random moment from the run's beginning to a little after
its usual end; by turns it is started again, or another one is there already, and by turns it is
given a pace. Nothing that was written is written again.
"""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.folders import folder
from tests.faults.history import pid_of
from tests.faults.instruments import filling
from tests.faults.instruments.filling import Trial
from tests.faults.kind import Findings, Solo
from tests.faults.places import Place, private
from tests.faults.report import distribution

_PACES = (None, 10_000)
_LATE = 1.1
"""Of the usual time, the share after which the last ones are killed."""
_LIMIT_SECONDS = 15.0
"""From a kill to the next run: it is taken over after three, and somebody may have to start."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """One kill, and what came of it."""

    where: str
    takeover: float | None
    """Seconds until another run began; None if there was nothing left to do."""
    violations: list[str]


def run(times: int, chance: random.Random) -> Findings:
    """Kill so many."""
    with folder() as at, private(at) as place:
        filling.prepare(place)
        usual = {pace: _usual_seconds(place, at, pace) for pace in _PACES}
        moments = []
        for number in range(times):
            pace = _PACES[number // 2 % 2]
            with filling.trial(place, at / f"moment-{number}", pace, seed=number) as trial:
                at_most = usual[pace] * _LATE
                moments.append(_kill(trial, chance.uniform(0, at_most), replicas=1 + number % 2))
    where = Counter(moment.where for moment in moments)
    took = [moment.takeover for moment in moments if moment.takeover is not None]
    return Findings(
        times=times,
        violations=[
            f"moment {number} ({moment.where}): {violation}"
            for number, moment in enumerate(moments)
            for violation in moment.violations
        ],
        note=(
            f"{', '.join(f'{count} {place}' for place, count in where.most_common())};"
            f" takeover {distribution(took)}"
        ),
    )


def _usual_seconds(place: Place, at: Path, pace: int | None) -> float:
    """How long it takes where nobody is killed."""
    with (
        filling.trial(place, at / f"usual-{pace}", pace, seed=0) as trial,
        trial.playing(),
        trial.daemon(),
    ):
        return float(trial.wait_done()["seconds"])


def _kill(trial: Trial, after: float, *, replicas: int) -> _Moment:
    """Kill the one that is at work so many seconds after it began."""
    where, takeover = "never", None
    violations: list[str] = []
    try:
        with trial.playing(), contextlib.ExitStack() as running:
            daemons = [running.enter_context(trial.daemon()) for _ in range(replicas)]
            lost = trial.wait_begun()
            threading.Event().wait(after)
            pid = pid_of(lost["worker"])
            trial.daemons.kill(next(daemon for daemon in daemons if daemon.pid == pid))
            left = trial.left()
            if replicas == 1:
                running.enter_context(trial.daemon())
            success = trial.wait_done()
            trial.wait_closed()
        if success["id"] == lost["id"]:
            where = "after"
        else:
            where = "staging" if left is None else "batches"
            takeover = (success["started_at"] - trial.record.kills[0].at).total_seconds()
            violations += _judge_resumed(takeover, success, left)
    except AssertionError as error:
        violations.append(str(error) or "an assertion without a message")
    return _Moment(where, takeover, [*violations, *trial.judge()])


def _judge_resumed(takeover: float, success: dict[str, Any], left: int | None) -> Iterator[str]:
    if takeover > _LIMIT_SECONDS:
        yield f"it was taken over after {takeover:.2f} s"
    if left is not None and success["written"] > left:
        yield f"{left} rows were left to be written, and {success['written']} were written"


KIND = Solo(
    name="backfill",
    shows="kill -9 of who fills others' columns",
    ci=5,
    full=50,
    run=run,
)
