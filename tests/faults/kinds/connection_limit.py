"""The role of the daemons may not connect as often as they would, and all connections break."""

from tests.faults.kind import Kind, Program, Root
from tests.faults.kinds.cramped import ROLE, Cramped, cramped
from tests.faults.stage import Stage
from tests.waiting import wait_until

_LIMIT_SECONDS = 15.0
_PATIENCE_SECONDS = 20.0
_MOST_REST_SECONDS = 3.0
_FEW = 2
_REFUSAL = f'too many connections for role "{ROLE}"'

_END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"


def inject(stage: Stage[Cramped], times: int) -> None:
    """Leave two connections for three daemons until one is refused; then lift the limit."""
    for _ in range(times):
        stage.wait_for_work()
        _limit(stage)
        stage.measured("refreshed without the limit", stage.wait_refreshed(), limit=_LIMIT_SECONDS)


def _limit(stage: Stage[Cramped]) -> None:
    before = _refusals(stage)
    with stage.connect() as connection:
        connection.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT {_FEW}")
        try:
            connection.execute(_END_ALL, [ROLE])
            wait_until(
                lambda: _refusals(stage) > before, _PATIENCE_SECONDS, what="a refused connection"
            )
            stage.injected()
            stage.rest(stage.chance.uniform(0, _MOST_REST_SECONDS))
        finally:
            connection.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")


def _refusals(stage: Stage[Cramped]) -> int:
    """How often daemons have said that they were refused."""
    return sum(
        said["event"] == "database.down" and _REFUSAL in said["error"]
        for daemon in stage.daemons.members
        for said in daemon.events()
    )


KIND = Kind(
    name="connection-limit",
    shows="the daemons' role may connect twice only",
    ci=3,
    full=10,
    place=cramped,
    inject=inject,
    needs=(Root(), Program("mount", package="mount")),
)
