"""Filling columns of somebody else's table: what one transaction does elsewhere takes many here.

    2 to 5  as every refresh does, in one REPEATABLE READ transaction
    6       compute, check, stage the rows that differ; COMMIT       nothing of the table is written
    —       write them in batches, each under the fence              `writing.py`
    7       state, record, NOTIFY; drop the stage; COMMIT

An application that writes to the table would wait for a transaction that writes all rows, or fail,
or make it fail. What is written is as of the snapshot of step 5, however long it takes.

Between two batches nobody holds the fence: `refresher.filling` tells that somebody is at it. Killed
anywhere, the rows written so far stay, and are right; the next run compares anew.
"""

import time
from dataclasses import dataclass, field, replace

from refresher.checks.contents import check_contents
from refresher.config.model import Fills
from refresher.events import RunProgressed, RunStarted, VerifyMismatch
from refresher.postgres.sessions import Connection
from refresher.refresh.columns.pace import Standbys
from refresher.refresh.columns.staging import (
    COMPUTED,
    Filled,
    compute,
    drop_stage,
    read_filled,
    stage,
)
from refresher.refresh.columns.writing import LostRunError, Writing, Written
from refresher.refresh.member import Member
from refresher.refresh.task import NotBegunError, Obstacle
from refresher.refresh.transaction import Transaction, commit
from refresher.runs import Run

_TELL_SECONDS = 10.0
"""How often an event tells how far it is."""


@dataclass(slots=True, kw_only=True)
class Filling(Transaction):
    """The refresh of columns. It has one member, whose view `fills` them."""

    _told_at: float = field(default=0.0, init=False)

    def carry_out(self) -> list[Run]:
        """Fill them; returns the finished run.

        Raises:
            NotBegunError: somebody else did it, does it, or went on with it.
            CancelledError: it was cancelled; the rows that were written stay written.
            CommitUnansweredError: nobody knows yet whether the end is recorded.
            RefreshError: a check is broken, the table can't be filled, or rows stayed locked.
            psycopg.Error: whatever PostgreSQL says.
        """
        connection = self.session.connection()
        (member,) = self.members
        fills = member.task.view.fills
        assert fills is not None  # noqa: S101 - the caller asks for it of this kind only
        member.note_files(connection)
        self._begin(connection)
        self._take_fences(connection)
        self.at = member.task.view.name
        self.emit(RunStarted(database=self.session.endpoint.alias, run=member.begun))
        self._stop_if_cancelled()
        filled, rows, differing = self._stage(connection, member, fills)
        writing = self._writing(member, fills, filled, differing)
        writing.hold_fence(connection)
        connection.execute("COMMIT")
        try:
            written = writing.carry_out()
            finished = self._finish(connection, member, writing, rows)
        except LostRunError as error:
            raise NotBegunError(Obstacle.FENCE) from error
        if written.resisting:
            self._tell_resisted(member, written)
        return [finished]

    def _stage(
        self, connection: Connection, member: Member, fills: Fills
    ) -> tuple[Filled, int, int]:
        """Step 6; returns what is filled, how many rows the query has, and how many differ."""
        view = member.task.view
        filled = read_filled(
            connection,
            view=view.name,
            table=fills.table,
            key=view.key,
            columns=fills.columns,
            query=view.relation,
        )
        member.note_ages({})
        rows = compute(connection, filled)
        member.require_files(connection)
        if view.checks.names:
            previous_rows = member.facts["previous_rows"]
            check_contents(connection, view, COMPUTED, rows=rows, previous_rows=previous_rows)
        return filled, rows, stage(connection, filled)

    def _writing(self, member: Member, fills: Fills, filled: Filled, differing: int) -> Writing:
        task = member.task
        return Writing(
            session=self.session,
            view=task.view.name,
            run=member.run.id,
            filled=filled,
            total=differing,
            timeouts=task.view.timeouts,
            max_rows_per_second=fills.max_rows_per_second,
            standbys=Standbys(task.most_lag),
            cancelled=self.cancelled,
            tell=lambda written: self._tell(member, written, differing),
        )

    def _finish(self, connection: Connection, member: Member, writing: Writing, rows: int) -> Run:
        """Step 7."""
        member.note_filled(rows, writing.written.rows)
        if resisting := writing.written.resisting:
            reason = f"{member.choice.reason}; {resisting:,} rows did not keep what was written"
            member.choice = replace(member.choice, reason=reason)
        writing.begin_last(connection)
        drop_stage(connection, writing.filled)
        finished = member.finish(connection, self.lock_wait)
        commit(connection)
        return finished

    def _tell_resisted(self, member: Member, written: Written) -> None:
        self.emit(
            VerifyMismatch(
                database=self.session.endpoint.alias,
                view=member.task.view.name,
                rows=written.resisting,
                of=written.done,
                keys=(),
            )
        )

    def _tell(self, member: Member, written: Written, differing: int) -> None:
        self.began = time.monotonic()  # each batch may take as long as a statement
        self.activity = f"writing rows: {written.done:,} of {differing:,}"
        if self.began - self._told_at >= _TELL_SECONDS:
            self._told_at = self.began
            self.emit(
                RunProgressed(
                    database=self.session.endpoint.alias,
                    view=member.task.view.name,
                    rows_done=written.done,
                    rows_total=differing,
                )
            )
