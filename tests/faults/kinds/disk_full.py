"""The disk that refreshes write to is full. Old contents stand; once there is room, all goes on."""

from refresher.errors import FailureReason
from tests.faults.kind import Kind, Program, Root
from tests.faults.kinds.cramped import Cramped, cramped
from tests.faults.stage import Stage
from tests.waiting import wait_until

_LIMIT_SECONDS = 15.0
_PATIENCE_SECONDS = 20.0
_MOST_REST_SECONDS = 2.0

_FAILURES = "SELECT count(*) AS failures FROM refresher.run WHERE failure = 'disk_full'"


def inject(stage: Stage[Cramped], times: int) -> None:
    """Fill it up until refreshes fail for it, and make room again."""
    for _ in range(times):
        _fill_up(stage)
        stage.measured("refreshed once there is room", stage.wait_refreshed(), limit=_LIMIT_SECONDS)


def _fill_up(stage: Stage[Cramped]) -> None:
    before = _failures(stage)
    with stage.place.disk.full():
        wait_until(lambda: _failures(stage) > before, _PATIENCE_SECONDS, what="a refresh to fail")
        stage.injected()
        stage.rest(stage.chance.uniform(0, _MOST_REST_SECONDS))


def _failures(stage: Stage[Cramped]) -> int:
    with stage.connect() as connection:
        row = connection.execute(_FAILURES).fetchone()
    assert row is not None
    return int(row["failures"])


KIND = Kind(
    name="disk-full",
    shows="the disk that refreshes write to is full",
    ci=3,
    full=10,
    place=cramped,
    inject=inject,
    needs=(Root(), Program("mount", package="mount")),
    excused=frozenset({FailureReason.DISK_FULL}),
)
