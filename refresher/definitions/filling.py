"""Filling a materialized view that is built beside the one that stands.

It is a run like any other, from the same locks and the same snapshot, but for two things: the fence
is held by the transaction that will exchange the views, and so it is that one which records the
success. Until then the contents are nobody's.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from refresher.catalog.introspection import read_target, storage_files
from refresher.catalog.model import Target
from refresher.checks.contents import as_recorded, check_contents
from refresher.config.model import Kind, View
from refresher.errors import CatalogError, FailureReason, RefreshError
from refresher.events import Listener, RunFinished, RunStarted
from refresher.freshness import Age, refreshed
from refresher.names import RelationName
from refresher.postgres import identifiers
from refresher.postgres.failures import describe, failure_reason
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.refresh import full, merge
from refresher.refresh.session import Session
from refresher.refresh.transaction import begin_statement
from refresher.runs import Outcome, Run, Strategy

_QUERIES = load_queries("refresher.definitions", "filling.sql")
_REFRESHING = load_queries("refresher.refresh", "attempt.sql")

_REASON = "its definition changed"
_CHURN = ("inserted", "updated", "deleted")


@dataclass(slots=True, kw_only=True)
class Filling:
    """One view's contents, computed beside; `fill` first, then `succeed` or `fail`."""

    session: Session
    view: View
    relation: RelationName
    """What is filled; it takes the place of the view's relation."""
    standing: int | None
    """The OID of what stands."""
    upstreams: tuple[str, ...]
    emit: Listener
    as_of: datetime | None = field(default=None, init=False)
    age: Age = field(init=False)
    rows: int = field(default=0, init=False)
    _run: Run | None = field(default=None, init=False)
    _record: dict[str, Any] = field(default_factory=dict, init=False)

    @property
    def _strategy(self) -> Strategy:
        """How refreshes would do it that write every row."""
        return Strategy.MERGE if self.view.kind is Kind.TABLE else Strategy.FULL

    def fill(self, built: Mapping[str, "Filling"]) -> None:
        """Compute the contents; `built` are the fillings of upstreams in the same exchange.

        Raises:
            RefreshError: a check is broken, or a source was rewritten meanwhile.
            psycopg.Error: whatever PostgreSQL says.
        """
        connection = self.session.connection()
        opened = connection.execute(
            _QUERIES["open_run"], {"view": self.view.name, "worker": self.session.worker}
        ).fetchone()
        assert opened is not None  # noqa: S101 - the query always returns one row
        self._run = Run.from_row(opened | {"strategy": self._strategy, "reason": _REASON})
        self.emit(RunStarted(database=self.session.endpoint.alias, run=self._run))
        target = read_target(connection, self.relation)
        if target is None:
            message = f"{self.relation} was dropped by somebody else meanwhile; apply again"
            raise CatalogError(message)
        with computing(self.session, self.view, target) as lock_wait:
            facts = self._read_facts(connection, built)
            if target.query is None:
                full.refresh(connection, self.relation)
            else:
                merge.fill(connection, target)
            after = _measure(connection, target)
            check_contents(
                connection,
                self.view,
                self.relation,
                rows=after["rows"],
                previous_rows=facts["previous_rows"],
            )
        self._note(target.oid, facts, after, lock_wait)

    def _read_facts(self, connection: Connection, built: Mapping[str, "Filling"]) -> dict[str, Any]:
        """Read what is recorded; this takes the snapshot of the contents."""
        facts = connection.execute(
            _QUERIES["facts"],
            {
                "view": self.view.name,
                "standing": self.standing,
                "upstreams": list(self.upstreams),
            },
        ).fetchone()
        assert facts is not None  # noqa: S101 - the query always returns one row
        seen = {
            name: (_time(as_of), Age(_time(data_as_of), tuple(oldest or (name,))))
            for name, (as_of, data_as_of, oldest) in facts["upstreams"].items()
        }
        seen |= {
            name: (filling.as_of, filling.age) for name, filling in built.items() if name in seen
        }
        self.as_of = facts["as_of"]
        self.age = refreshed(
            self.view.name,
            facts["as_of"],
            {name: age for name, (_, age) in seen.items()},
            unmanaged=facts["unmanaged"],
        )
        facts["upstreams_seen"] = {
            name: as_of and as_of.isoformat() for name, (as_of, _) in seen.items()
        }
        return facts

    def _note(
        self, oid: int, facts: dict[str, Any], after: dict[str, Any], lock_wait: float
    ) -> None:
        self.rows = after["rows"]
        previous = facts["previous_rows"]
        self._record = {
            **{name: after[name] for name in ("rows", "bytes", "storage", *_CHURN)},
            "rows_written": after["rows"],
            "deleted": previous,
            "as_of": self.as_of,
            "data_as_of": self.age.data_as_of,
            "oldest": list(self.age.oldest),
            "watermark": facts["watermark"],
            "place": str(self.view.place),
            "upstreams_seen": Jsonb(facts["upstreams_seen"]),
            "relation": oid,
            "strategy": self._strategy,
            "reason": _REASON,
            "lock_wait": lock_wait,
            "churn": max(after["rows"], previous or 0),
            "changed": True,
            "misfires": 0,
            "audited": False,
            "corrected": 0,
        }

    def succeed(self, connection: Connection) -> Run:
        """Record the success, in the transaction of the exchange, which holds the fence.

        Raises:
            RefreshError: (lost) the run was taken for lost meanwhile.
        """
        assert self._run is not None  # noqa: S101 - it was filled
        row = connection.execute(
            _REFRESHING["finish_run"], {**self._record, "run": self._run.id}
        ).fetchone()
        if row is None:
            message = f"the record of filling {self.view.name!r} vanished meanwhile; apply again"
            raise RefreshError(message, reason=FailureReason.LOST)
        return Run.from_row(row)

    def fail(self, connection: Connection, error: BaseException | None) -> None:
        """Record that the contents came to nothing, through an error or because of a cancel."""
        if self._run is None:
            return
        outcome, failure, told = Outcome.CANCELLED, None, None
        if isinstance(error, Exception):
            outcome, told = Outcome.FAILED, describe(error)
            failure = error.reason if isinstance(error, RefreshError) else failure_reason(error)
        row = connection.execute(
            _REFRESHING["end_run"],
            {
                "run": self._run.id,
                "strategy": self._strategy,
                "reason": _REASON,
                "lock_wait": None,
                **as_recorded(error),
                "outcome": outcome,
                "failure": failure,
                "error": told,
            },
        ).fetchone()
        if row is not None:
            self.emit(RunFinished(database=self.session.endpoint.alias, run=Run.from_row(row)))


@contextmanager
def computing(session: Session, view: View, target: Target) -> Iterator[float]:
    """A transaction that reads the sources as a refresh must; yields how long it waited for them.

    Raises:
        RefreshError: (serialization) a source that can't be locked was rewritten meanwhile.
        psycopg.Error: whatever PostgreSQL says.
    """
    connection = session.connection()
    files = storage_files(connection, target.unlockable_storages)
    began = time.monotonic()
    try:
        connection.execute(begin_statement(session, view.timeouts, [target]))
        yield time.monotonic() - began
        _require_same(files, storage_files(connection, target.unlockable_storages))
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        raise


def _require_same(before: tuple[int | None, ...], after: tuple[int | None, ...]) -> None:
    if before != after:
        message = "a source that can't be locked was rewritten while it was read; apply again"
        raise RefreshError(message, reason=FailureReason.SERIALIZATION)


def _measure(connection: Connection, target: Target) -> dict[str, Any]:
    query = _REFRESHING["measure"].format(
        relation=identifiers.relation(target.relation), oid=sql.Literal(target.oid)
    )
    after = connection.execute(query).fetchone()
    assert after is not None  # noqa: S101 - the query always returns one row
    return after


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
