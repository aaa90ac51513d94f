"""Clocks that are put forward and back: every start of the night, in ten zones, over five years.

`tests/unit/test_cron_brute_force.py` compares all of them with cron(8)'s rules, minute by minute,
whenever tests are run.
"""

import random

from tests.faults.instruments import suite
from tests.faults.kind import Findings, Solo

_TESTS = "tests/unit/test_cron_brute_force.py"


def run(times: int, chance: random.Random) -> Findings:
    """Compare all of them so many times; nothing is left to chance."""
    del chance
    return suite.play(_TESTS, times)


KIND = Solo(
    name="clock-changes",
    shows="every daily, weekly and monthly start from 00:00 to 03:59, ten zones, five years",
    ci=0,
    full=1,
    run=run,
)
