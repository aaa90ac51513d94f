"""Comparing a view's contents with its query, under its fence and in one snapshot. Writes nothing.

Its contents are as of its last refresh: what its sources changed since then differs, too.
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from refresher.catalog.introspection import read_target, storage_files
from refresher.config.model import View
from refresher.errors import FailureReason, RefreshError
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.refresh.columns.comparing import with_columns
from refresher.refresh.comparison import Comparison, compare, key_of, with_query
from refresher.refresh.opening import require
from refresher.refresh.session import Session
from refresher.refresh.transaction import CancelledError, begin_statement

_QUERIES = load_queries("refresher.refresh", "verify.sql")

_LOOK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A comparison, and of what. Times are the database's."""

    view: View
    compared_at: datetime
    as_of: datetime | None
    """Of the contents; None where nobody can tell."""
    comparison: Comparison


@dataclass(slots=True, kw_only=True)
class Verification:
    """One comparison. `run` blocks; `cancel` may be called from another thread."""

    session: Session
    view: View
    sample: int | None
    limit: int
    """How many of the rows that differ to show."""
    _cancelled: threading.Event = field(default_factory=threading.Event, init=False)

    def cancel(self) -> None:
        """Give up, on the server too; to be repeated until `run` returns."""
        self._cancelled.set()
        self.session.cancel()

    def run(self) -> Verified:
        """Compare.

        Raises:
            CancelledError: it was cancelled.
            RefreshError: it can't be compared as things stand, or is being refreshed.
            UnreachableError: the database can't be reached.
            psycopg.Error: whatever PostgreSQL says.
        """
        patience = time.monotonic() + self.view.timeouts.lock.total_seconds()
        try:
            while (verified := self._try()) is None:
                if time.monotonic() > patience:
                    message = f"{self.view.name!r} is being refreshed; try again when it has ended"
                    raise RefreshError(message, reason=FailureReason.LOCK_TIMEOUT)
                if self._cancelled.wait(_LOOK_AGAIN_SECONDS):
                    raise CancelledError
        except psycopg.errors.QueryCanceled as error:
            if self._cancelled.is_set():
                raise CancelledError from error
            raise
        return verified

    def _try(self) -> Verified | None:
        """Compare; None if somebody holds the fence."""
        connection = self.session.connection()
        target = require(read_target(connection, self.view.relation), self.view)
        fills = self.view.fills
        key = self.view.key if fills else key_of(self.view, target)
        # REFRESH does not keep the rows that older snapshots see, and no LOCK keeps it away.
        rewritable = (target.oid, *target.unlockable_storages)
        files = storage_files(connection, rewritable)
        connection.execute(begin_statement(self.session, self.view.timeouts, [target]))
        try:
            taken = self._take_fence(connection, target.oid)
            if taken is None:
                return None
            if not target.populated or not taken["refreshed"]:
                self._require_contents(target.relation_kind, populated=target.populated)
            asking = (
                with_columns(connection, target, self.view, fills, self.sample)
                if fills
                else with_query(connection, target)
            )
            with asking as asked:
                comparison = compare(connection, asked, key, sample=self.sample, limit=self.limit)
            if storage_files(connection, rewritable) != files:
                message = "it was rewritten while it was compared; try again"
                raise RefreshError(message, reason=FailureReason.SERIALIZATION)
        finally:
            if not connection.broken:
                connection.execute("ROLLBACK")
        return Verified(
            view=self.view,
            compared_at=taken["compared_at"],
            as_of=taken["as_of"],
            comparison=comparison,
        )

    def _take_fence(self, connection: Connection, relation: int) -> dict[str, Any] | None:
        asked = {"view": self.view.name, "relation": relation}
        try:
            taken = connection.execute(_QUERIES["take_fence"], asked).fetchone()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.SerializationFailure):
            return None
        assert taken is not None  # noqa: S101 - the query always returns one row
        if taken["filling"]:
            return None
        if not taken["fence"]:
            message = f"the fence of {self.view.name!r} is missing; run `refresher apply`"
            raise RefreshError(message, reason=FailureReason.OTHER)
        return taken

    def _require_contents(self, relation_kind: str, *, populated: bool) -> None:
        """Of a materialized view PostgreSQL knows whether it has any, of all else we do."""
        if relation_kind != "m" or not populated:
            message = f"{self.view.name!r} has no contents yet; run `refresher run-now` first"
            raise RefreshError(message, reason=FailureReason.DEFINITION)
