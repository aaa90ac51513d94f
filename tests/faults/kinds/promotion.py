"""A standby is promoted while daemons are connected to the primary, which stays, read-only.

Nobody takes the old primary's as_ofs for the new one's: every view is refreshed anew. The replicas
follow an address that is switched; one more daemon knows both servers and finds the primary itself.
"""

from collections.abc import Callable
from itertools import cycle

from tests.faults.daemons import Daemon
from tests.faults.kind import Kind
from tests.faults.kinds.replicated import Replicated, replicated
from tests.faults.stage import Stage
from tests.waiting import wait_until

_LIMIT_SECONDS = 15.0
_PATIENCE_SECONDS = 30.0
_START_SECONDS = 90.0

# Who may write: a refresh, which asks for READ WRITE whatever the default is, and an application.
# The parts of daemons that only read stay, to find out by themselves.
_END_WRITERS = """
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND (
    application_name NOT LIKE 'refresher %'
    OR application_name LIKE 'refresher %/%/%' AND state <> 'idle'
    OR backend_xid IS NOT NULL
)
"""


def inject(stage: Stage[Replicated], times: int) -> None:
    """Promote, in one way and in the other, and make the old primary the next standby."""
    ways = cycle((_leave_read_only, _switch_over))
    with stage.daemons.extra(environment={"DATABASE_URL": stage.place.both}) as follower:
        follower.wait_for_log("database.up", deadline=_START_SECONDS)
        for _ in range(times):
            stage.wait_for_work()
            _promote(stage, next(ways), follower)
            stage.place.pair.renew()


def _promote(
    stage: Stage[Replicated], way: Callable[[Stage[Replicated]], None], follower: Daemon
) -> None:
    before, ups = _lineages(stage), _ups(follower)
    way(stage)
    stage.place.address.lead_to(stage.place.pair.primary.conninfo)
    stage.injected()
    took = stage.wait_refreshed()
    stage.measured("refreshed after a promotion", took, limit=_LIMIT_SECONDS)
    after = _lineages(stage)
    assert len(after) == 1, after
    assert after.isdisjoint(before), after
    wait_until(
        lambda: _ups(follower) > ups, _LIMIT_SECONDS, what="the daemon that knows both servers"
    )


def _leave_read_only(stage: Stage[Replicated]) -> None:
    """Its own default forbids writing; whoever is connected stays so."""
    pair = stage.place.pair
    old = pair.primary
    with stage.writers_held(), old.connect() as connection:
        old.set("default_transaction_read_only", "on")
        wait_until(
            lambda: not connection.execute(_END_WRITERS).fetchall(),
            _PATIENCE_SECONDS,
            what="the last who writes",
        )
        pair.wait_replayed()
        pair.promote()


def _switch_over(stage: Stage[Replicated]) -> None:
    """It is restarted as a standby of the new one."""
    pair = stage.place.pair
    old = pair.primary
    old.stop()
    pair.promote()
    old.start(follows=pair.primary)


def _lineages(stage: Stage[Replicated]) -> set[str]:
    with stage.connect() as connection:
        rows = connection.execute("SELECT DISTINCT lineage FROM refresher.state")
        return {row["lineage"] for row in rows}


def _ups(daemon: Daemon) -> int:
    """How often it has found a database to work with."""
    return sum(said["event"] == "database.up" for said in daemon.events())


KIND = Kind(
    name="promotion",
    shows="a standby is promoted, the old primary stays read-only",
    ci=2,
    full=20,
    place=replicated,
    inject=inject,
)
