"""One round of chaos: three daemons at work, killed at random, under observation."""

import contextlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from refresher.postgres.sessions import connect
from refresher.store.migrate import migrate
from refresher.store.presence import DEAD_AFTER
from tests.chaos import observer, scenario
from tests.chaos.daemons import Daemons
from tests.chaos.history import Observations
from tests.chaos.sources import reloader, updater
from tests.servers import endpoint_of

_DAEMONS = 3
_QUIET_SECONDS = DEAD_AFTER.total_seconds() + 5.0
"""Longer than a dead process's open run may stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much chaos, and which."""

    kills: int
    seconds: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where it happens."""

    folder: Path
    superuser: str
    """How the observer, the witness and the sources' writers connect."""
    daemon: str
    """How the daemons connect."""


def play(plan: Plan, place: Place) -> Observations:
    """Carry out a plan and return everything that was seen."""
    chance = random.Random(plan.seed)  # noqa: S311 - chaos to be repeated, no secret
    path = scenario.write_config(place.folder)
    with connect(endpoint_of(place.superuser)) as connection:
        scenario.create_sources(connection)
    with connect(endpoint_of(place.daemon)) as connection:
        migrate(connection)
    config = scenario.create_views(path, place.daemon)
    daemons = Daemons(path, place.daemon, count=_DAEMONS)
    writers = {
        "orders": updater(place.superuser),
        "reloads": reloader(place.superuser, random.Random(plan.seed)),  # noqa: S311 - the same
    }
    watching = observer.Observer(place.superuser)
    with connect(endpoint_of(place.superuser)) as connection:
        scenario.install_witness(connection)
        began_as_of = observer.read_as_of(connection)
        misfires = observer.read_misfires(connection)
        newest_run = observer.read_newest_run(connection)
        with contextlib.ExitStack() as stack:
            for writer in writers.values():
                stack.enter_context(writer.writing())
            stack.enter_context(watching.looking())
            with daemons.running():
                daemons.kill_at_random(kills=plan.kills, seconds=plan.seconds, chance=chance)
                daemons.kill_at_random(kills=0, seconds=_QUIET_SECONDS, chance=chance)
                ended_at = datetime.now(UTC)
        failures = [writer.failure for writer in writers.values()] + [watching.failure]
        assert failures == [None] * len(failures)
        after = observer.read_misfires(connection)
        return Observations(
            subjects=scenario.subjects(config),
            began_as_of=began_as_of,
            ended_at=ended_at,
            successes=observer.read_successes(connection),
            runs=observer.read_runs(connection, after=newest_run),
            misfires={view: after.get(view, 0) - misfires.get(view, 0) for view in began_as_of},
            samples=tuple(watching.samples),
            holders=tuple(watching.holders),
            commits={source: tuple(writer.commits) for source, writer in writers.items()},
            kills=tuple(daemons.kills),
        )
