"""What the daemon's parts say of themselves, for the metrics: plain numbers, set as they change.

Each number has one writer, and setting an attribute is atomic; so there are no locks.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from refresher.events import ConfigCurrent, ConfigOutdated, ConfigRejected, ConfigReloaded, Event


@dataclass(slots=True)
class DatabaseVitals:
    """How busy the daemon is with one database."""

    workers_busy: int = 0
    workers_limit: int = 0
    queue_length: int = 0
    """Tasks that are due and wait for a worker."""
    views_left: int = 0
    """How many views are left to daemons with a newer configuration."""
    throttled: bool = False
    """Whether its throttle delays scheduled refreshes."""


class Vitals:
    """One process's vitals. Times are Unix seconds of this machine's clock."""

    def __init__(self) -> None:
        self.scheduler_last_tick: float | None = None
        self.config_reload_succeeded = True
        self.config_reloaded_at = time.time()
        self._databases: Mapping[str, DatabaseVitals] = {}

    def tick(self) -> None:
        """The scheduler has looked at what is due; with several databases, at all of them."""
        self.scheduler_last_tick = time.time()

    def keep_databases(self, aliases: Iterable[str]) -> None:
        """Keep vitals for these databases, and for no others."""
        self._databases = {
            alias: self._databases.get(alias) or DatabaseVitals() for alias in aliases
        }

    def of(self, alias: str) -> DatabaseVitals:
        """The vitals of one database, to be set.

        Raises:
            KeyError: `keep_databases` was not told of it.
        """
        return self._databases[alias]

    def databases(self) -> Mapping[str, DatabaseVitals]:
        """All of them, by alias."""
        return self._databases

    def listen(self, event: Event) -> None:
        """Remember how the last reload went, and what is left to others."""
        match event:
            case ConfigReloaded():
                self.config_reload_succeeded = True
                self.config_reloaded_at = time.time()
            case ConfigRejected():
                self.config_reload_succeeded = False
            case ConfigOutdated(database=alias, views=views) if alias in self._databases:
                self._databases[alias].views_left = views
            case ConfigCurrent(database=alias) if alias in self._databases:
                self._databases[alias].views_left = 0
            case _:
                pass
