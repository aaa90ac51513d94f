"""Which of several configurations that daemons have is in force. Pure.

While daemons are replaced one by one, two configurations live at once. The one that came into force
later in any of those that live is the newer one, and what it says of a view stands: a view that it
has is left to the daemons that have it. Views that only an older one has stay with that one's
daemons, which do with them all they ever did. So two configurations with other views each do not
meet; where they share some, they do not take turns in overwriting each other.

Nothing is agreed upon. A daemon that ends, or dies and is not heard of for ten seconds, takes its
configuration with it, and an older one is in force again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Configured:
    """A living daemon, and its configuration of the database."""

    worker: str
    configuration: str
    """Its digest."""
    configured_at: datetime
    """When it came into force in that process, by the database's clock."""


def newer_than(configuration: str, living: Iterable[Configured]) -> frozenset[Configured]:
    """The daemons with a newer configuration than this one.

    Where no daemon has this one, all that have another do: it is a command's, which is no reason to
    overrule those who work on.
    """
    daemons = frozenset(living)
    came: dict[str, datetime] = {}
    for daemon in daemons:
        since = came.get(daemon.configuration, daemon.configured_at)
        came[daemon.configuration] = max(since, daemon.configured_at)
    own = came.get(configuration)
    return frozenset(
        daemon
        for daemon in daemons
        if daemon.configuration != configuration
        # Equal moments are hardly possible, but everybody has to see them alike.
        and (
            own is None or (came[daemon.configuration], daemon.configuration) > (own, configuration)
        )
    )
