"""The acceptance tests through PgBouncer in transaction mode, as `make test-pooler` runs them."""

import os
import random
import re
import subprocess
import sys

from tests.faults.kind import Findings, Program, Solo
from tests.roads import VARIABLE, Road

_MOST_SECONDS = 1200
_WORKERS = "2"
_FAILED = re.compile(r"^(?:FAILED|ERROR) .*$", re.MULTILINE)
_SUMMARY = re.compile(r"^\d+ passed.*$", re.MULTILINE)
_TAIL = 2000


def run(times: int, chance: random.Random) -> Findings:
    """Run them all so many times; they have no use for chance."""
    del chance
    violations: list[str] = []
    notes: list[str] = []
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", _WORKERS, "tests/acceptance"],
            env={**os.environ, VARIABLE: Road.PGBOUNCER},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_MOST_SECONDS,
            check=False,
        )
        notes += _SUMMARY.findall(done.stdout)
        if done.returncode != 0:
            violations += _FAILED.findall(done.stdout) or [done.stdout[-_TAIL:]]
    return Findings(times=times, violations=violations, note="; ".join(notes))


KIND = Solo(
    name="pooler",
    shows="the acceptance tests through pgbouncer in transaction mode",
    ci=1,
    full=1,
    run=run,
    needs=(Program("pgbouncer", package="pgbouncer"),),
)
