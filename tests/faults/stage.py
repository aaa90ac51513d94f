"""A stage: a place with sources that change, views that are always due, daemons, and readers."""

import contextlib
import random
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import psycopg

from refresher.config.model import Config
from refresher.errors import UnreachableError
from refresher.postgres.sessions import Connection, connect, connect_to_look
from tests.faults.daemons import Daemons
from tests.faults.history import Foreign, Injection, Measurement, Record, pid_of
from tests.faults.observer import HOLDERS
from tests.faults.places import Place
from tests.faults.sources import Writer
from tests.servers import endpoint_of
from tests.waiting import wait_until

P = TypeVar("P", bound=Place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A refresh that holds its fence."""

    view: str
    run: int
    daemon: int
    """The daemon's process id."""
    backend: int
    """The process id of the server's process that works for it."""
    at: datetime


@dataclass(slots=True, kw_only=True)
class Stage(Generic[P]):
    """What a kind of fault has to do with."""

    place: P
    folder: Path
    config_path: Path
    config: Config
    chance: random.Random
    daemons: Daemons
    record: Record
    writers: Collection[Writer]
    kind: str = ""
    """The one that is being injected."""

    def connect(self) -> Connection:
        """A superuser's connection, past any pooler and proxy."""
        return connect(endpoint_of(self.place.superuser))

    def injected(self) -> None:
        """The fault was injected once."""
        self.record.injections.append(Injection(self.kind, datetime.now(UTC)))

    def measured(self, what: str, seconds: float | None, *, limit: float) -> None:
        """Something took so long; None if it never came. Over the limit is a violation."""
        now = datetime.now(UTC)
        self.record.measurements.append(Measurement(self.kind, what, now, seconds, limit))

    def foreign(self, view: str, made_by: int) -> None:
        """Somebody else's refresh made contents that bear this `made_by`."""
        self.record.foreign.append(Foreign(view, made_by))

    def rest(self, seconds: float) -> None:
        """Let some time pass."""
        threading.Event().wait(seconds)

    @contextlib.contextmanager
    def writers_held(self) -> Iterator[None]:
        """The sources stay as they are until the block ends."""
        with contextlib.ExitStack() as held:
            for writer in self.writers:
                held.enter_context(writer.held())
            yield

    def wait_for_work(
        self,
        view: str | None = None,
        *,
        by: Collection[int] | None = None,
        deadline: float = 30.0,
    ) -> Work:
        """Wait until a refresh holds its fence: of this view or any, by these processes or any."""
        with self.connect() as connection:

            def look() -> list[Work]:
                held = map(_work, connection.execute(HOLDERS))
                return [
                    work
                    for work in held
                    if view in (None, work.view) and (by is None or work.daemon in by)
                ]

            return self.chance.choice(wait_until(look, deadline, what="a refresh at work"))

    def wait_refreshed(
        self,
        views: Collection[str] | None = None,
        *,
        since: datetime | None = None,
        deadline: float = 60.0,
    ) -> float:
        """Wait until each of these views has a success that began after `since`, which is now.

        Returns how many seconds that took; the server may be away at first.
        """
        began, began_at = time.monotonic(), since or datetime.now(UTC)
        wanted = self.refreshed if views is None else set(views)
        wait_until(
            lambda: wanted <= self._refreshed_since(began_at),
            deadline,
            what=f"refreshes of {', '.join(sorted(wanted))}",
        )
        return time.monotonic() - began

    @property
    def refreshed(self) -> set[str]:
        """The names of the views that are refreshed."""
        return {name for name, view in self.config.views.items() if view.refreshed}

    def _refreshed_since(self, moment: datetime) -> set[str]:
        try:
            with connect_to_look(endpoint_of(self.place.superuser)) as connection:
                rows = connection.execute(
                    "SELECT view FROM refresher.contents WHERE as_of >= %s", [moment]
                )
                return {row["view"] for row in rows}
        except (UnreachableError, psycopg.OperationalError):
            return set()


def _work(row: dict[str, Any]) -> Work:
    return Work(
        view=row["view"],
        run=row["run"],
        daemon=pid_of(row["application"]),
        backend=row["backend"],
        at=row["at"],
    )
