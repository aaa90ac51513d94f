"""The newest snapshot of each database, kept while the database is away."""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from refresher.events import DatabaseDown, DatabaseUp, Event
from refresher.observe.model import DatabaseSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is known of one database, and how reading it goes."""

    read: bool = False
    """Whether the last attempt to read its state succeeded."""
    unanswered: bool = False
    """Whether the scheduler is left without an answer, be it that reading the state succeeds."""
    snapshot: DatabaseSnapshot | None = None
    """The last one that could be read; None until there was one."""
    succeeded_at: float | None = None
    """When that was, in Unix seconds of this machine's clock."""
    errors: int = 0

    @property
    def up(self) -> bool:
        """Whether it can be worked with."""
        return self.read and not self.unanswered


@dataclass(slots=True)
class Latest:
    """Written by whoever reads snapshots, read by scrapes: neither waits for the other."""

    _readings: Mapping[str, Reading] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep_databases(self, aliases: Iterable[str]) -> None:
        """Keep what is known of these databases, and of no others."""
        with self._lock:
            self._readings = {alias: self._readings.get(alias) or Reading() for alias in aliases}

    def publish(self, snapshot: DatabaseSnapshot) -> None:
        """Put a new snapshot in the place of the last one."""
        with self._lock:
            reading = self._readings.get(snapshot.database)
            if reading is not None:  # a reload may have dropped it meanwhile
                self._put(
                    snapshot.database,
                    replace(reading, read=True, snapshot=snapshot, succeeded_at=time.time()),
                )

    def fail(self, alias: str) -> None:
        """A snapshot could not be read; the last one stays."""
        with self._lock:
            reading = self._readings.get(alias)
            if reading is not None:
                self._put(alias, replace(reading, read=False, errors=reading.errors + 1))

    def listen(self, event: Event) -> None:
        """Believe at once whoever finds a database gone; that it is back shows in a snapshot.

        Of one that gives no answer a snapshot tells nothing: others may well get theirs.
        """
        match event:
            case DatabaseDown(database=alias, retry_in=retry_in):
                gone, unanswered = retry_in is not None, retry_in is None
            case DatabaseUp(database=alias):
                gone = unanswered = False
            case _:
                return
        with self._lock:
            reading = self._readings.get(alias)
            if reading is not None:
                read = reading.read and not gone
                self._put(alias, replace(reading, read=read, unanswered=unanswered))

    def readings(self) -> Mapping[str, Reading]:
        """All of them, by alias, as one immutable picture."""
        return self._readings

    def _put(self, alias: str, reading: Reading) -> None:
        self._readings = {**self._readings, alias: reading}
