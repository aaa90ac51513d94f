"""Daemons are killed at random, and nothing that was promised is broken, by whatever road they go.

`make faults` plays this kind of fault, and all others, as often as they are to be played.
"""

import contextlib
import os
import random
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.faults.checker import violations
from tests.faults.kind import Kind
from tests.faults.kinds import kill
from tests.faults.places import Place
from tests.faults.play import play
from tests.faults.report import describe

_KILLS = 20
_SEED = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(2**32))


@pytest.mark.timeout(180)
def test_nothing_is_lost_doubled_or_wrong_however_daemons_die(
    database: Database, conninfo: str, tmp_path: Path
) -> None:
    print(f"\nFAULTS_SEED={_SEED}")  # noqa: T201 - the seed plays it again
    place = Place(superuser=database.conninfo, daemon=conninfo)
    kind = Kind(
        name="kill",
        shows=kill.KIND.shows,
        ci=_KILLS,
        full=_KILLS,
        place=lambda _: contextlib.nullcontext(place),
        inject=kill.inject,
    )
    seen = play([(kind, _KILLS)], kind.place(tmp_path), tmp_path / "stage", _SEED)
    print(describe(seen))  # noqa: T201 - what a reader of a failure needs first
    assert violations(seen) == []
