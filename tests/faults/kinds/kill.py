"""Daemons killed at any moment: the fence frees itself, and another one goes on."""

from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage

_LONGEST_PAUSE_SECONDS = 1.0
"""Twice the mean: two kills a second, as fast as two processors can start daemons."""


def inject(stage: Stage[Place], times: int) -> None:
    """Kill -9 a random one at random moments; another one is started in its place."""
    for _ in range(times):
        stage.rest(stage.chance.uniform(0, _LONGEST_PAUSE_SECONDS))
        stage.daemons.kill(stage.chance.choice(stage.daemons.members))
        stage.injected()


KIND = Kind(
    name="kill",
    shows="kill -9 of a random one of 3 replicas",
    ci=100,
    full=2000,
    place=private,
    inject=inject,
)
