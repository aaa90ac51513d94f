"""All kinds of faults, in the order they are played and reported.

Those of one place stand together: they share a stage.
"""

from typing import Any

from tests.faults.kind import Kind, Solo
from tests.faults.kinds import (
    backfill,
    clock_changes,
    clocks,
    commit_stuck,
    commit_unanswered,
    connection_limit,
    disk_full,
    foreigner,
    freeze,
    kill,
    long_reader,
    partition,
    password,
    pooler,
    promotion,
    reload,
    restart,
    sigterm,
    storm,
    terminate,
    wakeups,
)

KINDS: tuple[Kind[Any] | Solo, ...] = (
    kill.KIND,
    terminate.KIND,
    freeze.KIND,
    clocks.KIND,
    wakeups.KIND,
    restart.FAST,
    restart.IMMEDIATE,
    restart.BACKEND,
    reload.KIND,
    foreigner.KIND,
    long_reader.KIND,
    storm.KIND,
    sigterm.KIND,
    password.KIND,
    partition.KIND,
    commit_unanswered.KIND,
    commit_stuck.KIND,
    promotion.KIND,
    disk_full.KIND,
    connection_limit.KIND,
    backfill.KIND,
    pooler.KIND,
    clock_changes.KIND,
)
