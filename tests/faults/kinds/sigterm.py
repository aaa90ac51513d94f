"""SIGTERM at a random moment: a daemon drains, records what it cut off, and leaves nothing."""

from concurrent.futures import ThreadPoolExecutor

from refresher.postgres.sessions import Connection
from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage
from tests.waiting import wait_until

_AT_ONCE = 3
"""So many come and go beside the members, which take over what they leave."""
_LONGEST_LIFE_SECONDS = 4.0
_GONE_SECONDS = 3.0


def inject(stage: Stage[Place], times: int) -> None:
    """Start daemons, and end each of them after a random time."""

    def live_and_end(seconds: float) -> None:
        with stage.daemons.extra() as daemon:
            worker = daemon.wait_for_log("daemon.started", deadline=60.0)["worker"]
            stage.rest(seconds)
            stage.injected()
        with stage.connect() as connection:
            _judge(connection, worker)

    lives = [stage.chance.uniform(0, _LONGEST_LIFE_SECONDS) for _ in range(times)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(live_and_end, lives))


def _judge(connection: Connection, worker: str) -> None:
    """Nothing is left of a daemon that ended: no session, no run that is open or lost."""

    def gone() -> bool:
        row = connection.execute(
            "SELECT FROM pg_stat_activity WHERE application_name = 'refresher ' || %s", [worker]
        ).fetchone()
        return row is None

    wait_until(gone, _GONE_SECONDS, what=f"the sessions of {worker}, which ended, to end")
    unrecorded = connection.execute(
        "SELECT id, view, outcome, failure FROM refresher.run"
        " WHERE worker = %s AND (outcome IS NULL OR failure = 'lost')",
        [worker],
    ).fetchall()
    assert not unrecorded, f"{worker} ended and left {unrecorded}"


KIND = Kind(
    name="sigterm",
    shows="SIGTERM at a random moment",
    ci=50,
    full=200,
    place=private,
    inject=inject,
)
