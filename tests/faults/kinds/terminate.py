"""Backends ended by an administrator in the middle of a refresh."""

from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage

_MOST_REST_SECONDS = 0.2


def inject(stage: Stage[Place], times: int) -> None:
    """pg_terminate_backend of whoever holds a view's fence, for seconds or for a moment."""
    with stage.connect() as connection:
        for _ in range(times):
            stage.rest(stage.chance.uniform(0, _MOST_REST_SECONDS))
            work = stage.wait_for_work(stage.chance.choice(sorted(stage.refreshed)))
            connection.execute("SELECT pg_terminate_backend(%s)", [work.backend])
            stage.injected()


KIND = Kind(
    name="terminate",
    shows="pg_terminate_backend mid-refresh",
    ci=30,
    full=100,
    place=private,
    inject=inject,
)
