"""All kinds of faults, in the order they are played and reported.

Those of one place stand together: they share a stage.
"""

from typing import Any

from tests.faults.kind import Kind, Solo
from tests.faults.kinds import (
    commit_stuck,
    commit_unanswered,
    connection_limit,
    disk_full,
    kill,
    partition,
    pooler,
    promotion,
)

KINDS: tuple[Kind[Any] | Solo, ...] = (
    kill.KIND,
    partition.KIND,
    commit_unanswered.KIND,
    commit_stuck.KIND,
    promotion.KIND,
    disk_full.KIND,
    connection_limit.KIND,
    pooler.KIND,
)
