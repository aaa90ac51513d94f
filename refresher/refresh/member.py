"""One view in the transaction that refreshes it: steps 3 to 7, all but the COMMIT.

A view that has a group is refreshed with the others of it: `transaction.py` goes through the steps
with all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from refresher.catalog.introspection import storage_files
from refresher.catalog.model import Target
from refresher.checks.contents import check_contents
from refresher.errors import FailureReason, RefreshError
from refresher.freshness import Age, refreshed
from refresher.postgres import identifiers
from refresher.postgres.messages import ask_together
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, major
from refresher.refresh import audit, concurrent, full, merge
from refresher.refresh.choose import Choice
from refresher.refresh.comparison import Comparison
from refresher.refresh.task import NotBegunError, Obstacle, Task
from refresher.runs import Run, Strategy, Trigger

_QUERIES = load_queries("refresher.refresh", "attempt.sql")

_LOCK_TIMEOUT = "ProcessInterrupts"
"""Where PostgreSQL raises 55P03 (src/backend/tcop/postgres.c) when lock_timeout is over.

NOWAIT has the same SQLSTATE, and their messages are in the server's language."""

_TAKE_FENCE = (_QUERIES["take_fence"],)
_TAKE_FENCE_BELOW = (*_TAKE_FENCE, _QUERIES["read_upstreams"])
"""The same for a view that has upstreams."""
_THEN = sql.SQL("; ")

_CHURN = ("inserted", "updated", "deleted")
_MEASURED = ("rows", "bytes", "storage", "rows_written", *_CHURN)


@dataclass(slots=True, kw_only=True)
class Member:
    """A view, its run, and how it is refreshed."""

    task: Task
    run: Run
    target: Target
    choice: Choice
    facts: dict[str, Any] = field(default_factory=dict, init=False)
    """What was read under the fence."""
    after: dict[str, Any] = field(default_factory=dict, init=False)
    """What was measured of the new contents."""
    audited: Comparison | None = field(default=None, init=False)
    """What came of its audit, if one was due."""
    _files: tuple[int | None, ...] = field(default=(), init=False)
    _upstreams: list[dict[str, Any]] = field(default_factory=list, init=False)

    @property
    def begun(self) -> Run:
        """The run, with how it is carried out."""
        return replace(self.run, strategy=self.choice.strategy, reason=self.choice.reason)

    def note_files(self, connection: Connection) -> None:
        """Before the transaction: note the files of sources that can't be locked."""
        self._files = storage_files(connection, self.target.unlockable_storages)

    def take_fence(self, connection: Connection, worker: str, *, has_slot: bool) -> None:
        """Steps 3 to 5. The first SELECT takes the snapshot that everything after it sees.

        Args:
            connection: in the transaction.
            worker: who does it.
            has_slot: whether the transaction has one already: it takes one place in all.

        Raises:
            NotBegunError: somebody else holds the fence, or every slot is taken.
            RefreshError: there is no fence.
            psycopg.Error: whatever PostgreSQL says.
        """
        task = self.task
        statements = _TAKE_FENCE_BELOW if task.upstreams else _TAKE_FENCE
        parameters = {
            "max_parallel": task.max_parallel,
            "has_slot": has_slot,
            "view": task.view.name,
            "run": self.run.id,
            "worker": worker,
            "upstreams": list(task.upstreams),
            "relation": self.target.oid,
            "schema": self.target.relation.schema,
            "name": self.target.relation.name,
        }
        try:
            (taken,), *upstreams = ask_together(connection, statements, parameters)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.SerializationFailure) as error:
            if error.diag.source_function == _LOCK_TIMEOUT:
                raise
            # Somebody holds it, or held it until after our snapshot: nothing has failed.
            raise NotBegunError(Obstacle.FENCE) from error
        if not taken["slot"]:
            raise NotBegunError(Obstacle.SLOT)
        if not taken["fence"]:
            message = f"the fence of {task.view.name!r} is missing; run `refresher apply`"
            raise RefreshError(message, reason=FailureReason.OTHER)
        if taken["filling"] or not taken["stands"]:
            # Somebody is between two batches, or it was exchanged for another one: look again.
            raise NotBegunError(Obstacle.FENCE)
        self.facts = taken
        self._upstreams = [row for rows in upstreams for row in rows]

    @property
    def overtaken(self) -> bool:
        """Whether somebody else got here first, or took this run for lost."""
        previous: datetime | None = self.facts["previous_as_of"]
        newer = previous is not None and previous >= self.facts["as_of"]
        return newer or not self.facts["open"]

    @property
    def discharged(self) -> bool:
        """Step 4, decided under the fence: whether there is nothing to do."""
        as_of: datetime = self.facts["as_of"]
        previous: datetime | None = self.facts["previous_as_of"]
        if self.task.trigger is Trigger.UPSTREAM:
            seen = self.facts["previous_upstreams_seen"]
            return not any(
                _is_newer(row["as_of"], seen.get(row["name"])) for row in self._upstreams
            )
        # An as_of before due_at is only possible if the database's clock went backwards meanwhile.
        return (previous is not None and previous >= self.task.due_at) or as_of < self.task.due_at

    def refresh(self, connection: Connection, before: Mapping[str, "Member"]) -> None:
        """Step 6, the strategy; `before` are the members that were refreshed in this transaction.

        Raises:
            RefreshError: a source was rewritten meanwhile, or the query breaks the key.
            psycopg.Error: whatever PostgreSQL says.
        """
        self.note_ages(before)
        refresh: sql.Composed | None = None
        match self.choice.strategy:
            case Strategy.FULL:
                refresh = full.statement(self.target.relation)
            case Strategy.CONCURRENT:
                refresh = concurrent.statement(self.target.relation)
            case Strategy.MERGE:
                merge.merge(connection, self.target, self.task.view.key)
            case Strategy.COLUMNS:
                # They are filled in many transactions, by `columns/filling.py`.
                raise AssertionError(self.choice)
            case other:
                assert_never(other)
        self._measure(connection, refresh)
        self.require_files(connection)

    def require_files(self, connection: Connection) -> None:
        """Make sure that what was read is what stands.

        Raises:
            RefreshError: (serialization) a source was rewritten meanwhile.
        """
        if storage_files(connection, self.target.unlockable_storages) != self._files:
            message = "a source that can't be locked was rewritten while it was read"
            raise RefreshError(message, reason=FailureReason.SERIALIZATION)

    def audit(self, connection: Connection) -> None:
        """Step 6, the audit, if one is due.

        Raises:
            RefreshError: it can't be carried out.
            psycopg.Error: whatever PostgreSQL says.
        """
        view, facts = self.task.view, self.facts
        self.audited = None
        if view.audit and audit.is_due(view.audit, facts["audited_at"], facts["as_of"]):
            self.audited = audit.look_again(connection, view, view.audit, self.target)
            if self.audited.differing:
                self._measure(connection)

    def _measure(self, connection: Connection, refresh: sql.Composed | None = None) -> None:
        """Measure the new contents, in the message that makes them."""
        # No parameters: a % in the relation's name would be taken for one.
        measure = _QUERIES["measure"].format(
            relation=identifiers.relation(self.target.relation), oid=sql.Literal(self.target.oid)
        )
        count_at_once = _QUERIES.on("count_at_once", major(connection))
        statements = [count_at_once, *([] if refresh is None else [refresh]), measure]
        cursor = connection.execute(_THEN.join(statements))
        cursor.set_result(-1)
        after = cursor.fetchone()
        assert after is not None  # noqa: S101 - the query always returns one row
        self._note_contents(after)

    def note_filled(self, rows: int, written: int) -> None:
        """The measures of columns, which are in a table that is somebody else's."""
        self.after = {**dict.fromkeys(_MEASURED), "rows": rows, "updated": written}
        self.after |= {"inserted": 0, "deleted": 0}

    def check(self, connection: Connection) -> None:
        """Step 6, the checks.

        Raises:
            RefreshError: one is broken.
        """
        if self.task.view.checks.names:
            check_contents(
                connection,
                self.task.view,
                self.target.relation,
                rows=self.after["rows"],
                previous_rows=self.facts["previous_rows"],
            )

    def finish(self, connection: Connection, lock_wait: float) -> Run:
        """Step 7, all but the COMMIT.

        Raises:
            RefreshError: (lost) the run's record is gone.
            psycopg.Error: whatever PostgreSQL says.
        """
        facts, after = self.facts, self.after
        # CONCURRENTLY writes a changed row as a delete and an insert: it is one row that changed.
        churn = after["updated"] + max(after["inserted"], after["deleted"] or 0)
        (finished,) = ask_together(
            connection,
            (_QUERIES["finish_run"],),
            {
                **{name: facts[name] for name in ("as_of", "data_as_of", "oldest", "watermark")},
                **{name: after[name] for name in _MEASURED},
                "place": str(self.task.view.place),
                "upstreams_seen": Jsonb(facts["upstreams_seen"]),
                "relation": self.target.oid,
                "run": self.run.id,
                "strategy": self.choice.strategy,
                "reason": self.choice.reason,
                "lock_wait": lock_wait,
                "churn": churn,
                "changed": churn > 0,
                "audited": self.audited is not None,
                "corrected": self.audited.differing if self.audited else 0,
                "misfires": self.task.misfires(facts["previous_as_of"], facts["as_of"]),
            },
        )
        if not finished:
            message = "the record of this run vanished while it ran"
            raise RefreshError(message, reason=FailureReason.LOST)
        return Run.from_row(finished[0])

    def note_ages(self, before: Mapping[str, "Member"]) -> None:
        """What was read of upstreams, and refreshed since, says how old the new contents are."""
        upstreams = [
            row if row["name"] not in before else {"name": row["name"], **before[row["name"]].facts}
            for row in self._upstreams
        ]
        self.facts |= _ages(self.task.view.name, self.facts, upstreams)

    def _note_contents(self, after: dict[str, Any]) -> None:
        before = self.facts
        after.update({name: after[name] - before[name] for name in _CHURN})
        after["rows_written"] = before["rows_written"] + sum(after[name] for name in _CHURN)
        if self.choice.strategy is Strategy.FULL:
            # A plain refresh writes a new heap: PostgreSQL counts what came, not what went.
            after["deleted"] = before["previous_rows"]
        self.after = after


def _ages(
    view: str, facts: Mapping[str, Any], upstreams: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the upstreams that a view reads say of its new contents' age."""
    ages = {row["name"]: Age(row["data_as_of"], tuple(row["oldest"])) for row in upstreams}
    age = refreshed(view, facts["as_of"], ages, unmanaged=facts["unmanaged"])
    return {
        "data_as_of": age.data_as_of,
        "oldest": list(age.oldest),
        "upstreams_seen": {
            row["name"]: row["as_of"] and row["as_of"].isoformat() for row in upstreams
        },
    }


def _is_newer(as_of: datetime | None, seen: str | None) -> bool:
    """Whether an upstream has other contents than those that were read of it before."""
    return as_of is not None and (seen is None or as_of > datetime.fromisoformat(seen))
