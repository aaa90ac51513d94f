"""Daemons are killed at random, and nothing that was promised is broken.

A small share of it runs with every test run; `make chaos` plays the whole.
"""

import os
import random
from pathlib import Path

import pytest

from tests.chaos.checker import violations
from tests.chaos.report import describe
from tests.chaos.round import Place, Plan, play
from tests.conftest import Database

_KILLS = int(os.environ.get("CHAOS_KILLS", "20"))
_SECONDS = float(os.environ.get("CHAOS_SECONDS", "40"))
_SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(2**32))


@pytest.mark.timeout(_SECONDS + 120)
def test_nothing_is_lost_doubled_or_wrong_however_daemons_die(
    database: Database, conninfo: str, tmp_path: Path
) -> None:
    plan = Plan(kills=_KILLS, seconds=_SECONDS, seed=_SEED)
    print(f"\n{plan}")  # noqa: T201 - the seed plays it again
    place = Place(folder=tmp_path / "chaos", superuser=database.conninfo, daemon=conninfo)
    seen = play(plan, place)
    print(describe(seen))  # noqa: T201 - what a reader of a failure needs first
    assert violations(seen) == []
