"""A refresh's COMMIT waits for a synchronous standby that hears nothing.

It keeps its fence meanwhile. In the end the standby hears again, or somebody gives up waiting: by
pg_cancel_backend, or by asking the daemon to stop. Whichever it is, PostgreSQL has committed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import TypeAlias

from refresher.postgres.sessions import Connection
from tests.faults.daemons import DRAIN_SECONDS
from tests.faults.history import pid_of
from tests.faults.instruments.cluster import Deaf
from tests.faults.kind import Kind
from tests.faults.kinds.replicated import Replicated, replicated
from tests.faults.stage import Stage
from tests.waiting import wait_until

_LIMIT_SECONDS = 15.0
_PATIENCE_SECONDS = 60.0
_SLOW_SECONDS = 5.0
_LOOK_SECONDS = 0.05
_MOST_STUCK_SECONDS = 2.0
_HANGING_SECONDS = 3.0
"""How long a daemon that ends waits for its other threads, all of whose COMMITs hang as well."""

# A worker's only transactions in so many words are refreshes.
_STUCK = """
SELECT pid, application_name AS application
FROM pg_stat_activity
WHERE wait_event = 'SyncRep' AND query = 'COMMIT' AND application_name LIKE 'refresher %/%/%'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stuck:
    """A COMMIT that waits."""

    backend: int
    daemon: int


_Way: TypeAlias = Callable[[Stage[Replicated], Connection, _Stuck], None]
"""How it ends."""


def inject(stage: Stage[Replicated], times: int) -> None:
    """Get one stuck, and let go of it, in one way after the other."""
    ways = cycle((_let_go, _cancel, _stop))
    for _ in range(times):
        wait_until(partial(_stick, stage, next(ways)), _PATIENCE_SECONDS, what="a stuck COMMIT")
        stage.measured("refreshed after it", stage.wait_refreshed(), limit=_LIMIT_SECONDS)


def _stick(stage: Stage[Replicated], way: _Way) -> bool:
    """Whether a refresh was about to commit when the standby became deaf."""
    primary = stage.place.pair.primary
    stage.place.pair.wait_streaming()
    stage.wait_for_work("slow")
    # Whoever only reads waits for no standby.
    with primary.connect() as connection:
        primary.set("synchronous_standby_names", "*")
        standby = Deaf(stage.place.pair.standby)
        try:
            stuck = _find_stuck(stage, connection)
            if stuck is None:
                return False
            stage.injected()
            stage.rest(stage.chance.uniform(0, _MOST_STUCK_SECONDS))
            way(stage, connection, stuck)
        finally:
            standby.hear()
            primary.set("synchronous_standby_names", "")
    return True


def _find_stuck(stage: Stage[Replicated], connection: Connection) -> _Stuck | None:
    deadline = time.monotonic() + _SLOW_SECONDS
    while time.monotonic() < deadline:
        for row in connection.execute(_STUCK):
            return _Stuck(backend=row["pid"], daemon=pid_of(row["application"]))
        stage.rest(_LOOK_SECONDS)
    return None


def _let_go(_stage: Stage[Replicated], _connection: Connection, _stuck: _Stuck) -> None:
    """The standby hears again."""


def _cancel(_stage: Stage[Replicated], connection: Connection, stuck: _Stuck) -> None:
    connection.execute("SELECT pg_cancel_backend(%s)", [stuck.backend])


def _stop(stage: Stage[Replicated], _connection: Connection, stuck: _Stuck) -> None:
    (daemon,) = (member for member in stage.daemons.members if member.pid == stuck.daemon)
    stage.daemons.end(daemon, drain=DRAIN_SECONDS + _HANGING_SECONDS)


KIND = Kind(
    name="commit-stuck",
    shows="a COMMIT waits for a synchronous standby",
    ci=3,
    full=10,
    place=replicated,
    inject=inject,
)
