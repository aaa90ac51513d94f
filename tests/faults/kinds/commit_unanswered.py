"""A refresh commits, and the reply never comes: the connection is cut instead."""

from tests.faults.instruments.proxy import Swallowed
from tests.faults.kind import Kind
from tests.faults.kinds.replicated import Replicated, replicated
from tests.faults.stage import Stage

_PATIENCE_SECONDS = 20.0
_MOST_REST_SECONDS = 0.3


def inject(stage: Stage[Replicated], times: int) -> None:
    """Swallow the reply to whichever refresh commits next."""
    address = stage.place.address
    before = len(address.swallowed)
    for number in range(1, times + 1):
        address.swallow(1)
        assert address.wait_swallowed(before + number, deadline=_PATIENCE_SECONDS)
        stage.injected()
        stage.rest(stage.chance.uniform(0, _MOST_REST_SECONDS))
    assert set(address.swallowed[before:]) == {Swallowed("COMMIT")}


KIND = Kind(
    name="commit-unanswered",
    shows="the reply to COMMIT is dropped by a proxy",
    ci=30,
    full=100,
    place=replicated,
    inject=inject,
)
