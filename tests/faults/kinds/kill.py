"""Daemons killed at any moment: the fence frees itself, and another one goes on."""

from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage

_MOST_REST_SECONDS = 1.0
"""Twice the mean: two kills a second is as fast as two processors can start daemons."""


def inject(stage: Stage[Place], times: int) -> None:
    """Kill -9 a random one at random moments, if another one is up; it is replaced."""
    for _ in range(times):
        stage.rest(stage.chance.uniform(0, _MOST_REST_SECONDS))
        daemon = stage.chance.choice(stage.daemons.members)
        stage.daemons.wait_up(beside=daemon)
        stage.daemons.kill(daemon)
        stage.injected()


KIND = Kind(
    name="kill",
    shows="kill -9 of a random one of 3 replicas",
    ci=100,
    full=2000,
    place=private,
    inject=inject,
)
