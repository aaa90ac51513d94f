"""A refresh's COMMIT waits for a synchronous standby that hears nothing.

It keeps its fence meanwhile. In the end the standby hears again, or somebody gives up waiting: by
pg_cancel_backend, or by asking the daemon to stop. Whichever it is, PostgreSQL has committed.
"""

from collections.abc import Callable
from itertools import cycle
from typing import TypeAlias

from refresher.postgres.sessions import Connection
from tests.faults.daemons import DRAIN_SECONDS
from tests.faults.instruments.cluster import Deaf
from tests.faults.kind import Kind
from tests.faults.kinds.replicated import Replicated, replicated
from tests.faults.stage import Stage, Work
from tests.waiting import wait_until

_LIMIT_SECONDS = 15.0
_PATIENCE_SECONDS = 20.0
_MOST_STUCK_SECONDS = 2.0
_HANGING_SECONDS = 3.0
"""How long a daemon that ends waits for its other threads, all of whose COMMITs hang as well."""

_Way: TypeAlias = Callable[[Stage[Replicated], Connection, Work], None]
"""How it ends."""


def inject(stage: Stage[Replicated], times: int) -> None:
    """Get one stuck, and let go of it, in one way after the other."""
    ways = cycle((_let_go, _cancel, _stop))
    for _ in range(times):
        stage.place.pair.wait_streaming()
        _stick(stage, next(ways))
        stage.measured("refreshed after it", stage.wait_refreshed(), limit=_LIMIT_SECONDS)


def _stick(stage: Stage[Replicated], way: _Way) -> None:
    primary = stage.place.pair.primary
    work = stage.wait_for_work("slow")
    # Whoever only reads waits for no standby.
    with primary.connect() as connection:
        primary.set("synchronous_standby_names", "*")
        standby = Deaf(stage.place.pair.standby)
        try:
            wait_until(
                lambda: _stuck(connection, work.backend),
                _PATIENCE_SECONDS,
                what="the COMMIT to be stuck",
            )
            stage.injected()
            stage.rest(stage.chance.uniform(0, _MOST_STUCK_SECONDS))
            way(stage, connection, work)
        finally:
            standby.hear()
            primary.set("synchronous_standby_names", "")


def _stuck(connection: Connection, backend: int) -> bool:
    row = connection.execute(
        "SELECT FROM pg_stat_activity"
        " WHERE pid = %s AND wait_event = 'SyncRep' AND query = 'COMMIT'",
        [backend],
    ).fetchone()
    return row is not None


def _let_go(_stage: Stage[Replicated], _connection: Connection, _work: Work) -> None:
    """The standby hears again."""


def _cancel(_stage: Stage[Replicated], connection: Connection, work: Work) -> None:
    connection.execute("SELECT pg_cancel_backend(%s)", [work.backend])


def _stop(stage: Stage[Replicated], _connection: Connection, work: Work) -> None:
    (daemon,) = (member for member in stage.daemons.members if member.pid == work.daemon)
    stage.daemons.end(daemon, drain=DRAIN_SECONDS + _HANGING_SECONDS)


KIND = Kind(
    name="commit-stuck",
    shows="a COMMIT waits for a synchronous standby",
    ci=3,
    full=10,
    place=replicated,
    inject=inject,
)
