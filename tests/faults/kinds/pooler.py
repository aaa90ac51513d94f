"""The acceptance tests through PgBouncer in transaction mode, as `make test-pooler` runs them."""

import random

from tests.faults.instruments import suite
from tests.faults.kind import Findings, Program, Solo
from tests.roads import VARIABLE, Road


def run(times: int, chance: random.Random) -> Findings:
    """Run them all so many times; they have no use for chance."""
    del chance
    return suite.play("tests/acceptance", times, environment={VARIABLE: Road.PGBOUNCER})


KIND = Solo(
    name="pooler",
    shows="the acceptance tests through pgbouncer in transaction mode",
    ci=1,
    full=1,
    run=run,
    needs=(Program("pgbouncer", package="pgbouncer"),),
)
