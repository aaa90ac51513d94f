"""Definitions change at random, apply is killed at random, and nobody who reads notices.

A small share of it runs with every test run; `make torture` plays the whole on several majors.
"""

import os
import random
from collections.abc import Callable

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import Database
from tests.project import Project
from tests.torture import scenario
from tests.torture.checker import violations
from tests.torture.program import Refresher
from tests.torture.report import describe
from tests.torture.round import Place, Plan, play

_CHANGES = int(os.environ.get("TORTURE_CHANGES", "8"))
_KILLS = int(os.environ.get("TORTURE_KILLS", "4"))
_ALONE = "TORTURE_CHANGES" in os.environ
"""Whether nothing else runs: beside other tests how long readers wait says little of refresher."""
_SEED = int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(2**32))


@pytest.mark.timeout(60 + 30 * _CHANGES)
def test_nobody_who_reads_notices_that_definitions_change(
    database: Database, conninfo: str, project: Project, make_role: Callable[..., str]
) -> None:
    plan = Plan(changes=_CHANGES, kills=_KILLS, seed=_SEED)
    print(f"\n{plan}")  # noqa: T201 - the seed plays it again
    roles = scenario.make_roles(make_role)
    with database.connect() as connection, database.connect() as observer:
        scenario.trust(connection, roles, str(conninfo_to_dict(conninfo)["user"]))
        place = Place(
            connection=connection,
            conninfo=database.conninfo,
            reader=database.conninfo_as(roles.reader),
            roles=roles,
            program=Refresher(project, observer),
        )
        seen = play(plan, place)
    print(describe(seen))  # noqa: T201 - what a reader of a failure needs first
    found = violations(seen)
    if not _ALONE:
        found = [violation for violation in found if violation.rule != "read waits"]
    assert found == []
