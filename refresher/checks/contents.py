"""Judging a view's checks on what a relation holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psycopg import sql

from refresher.catalog.model import RELATION_KINDS
from refresher.checks.asking import PASSING, Asker, StandIn
from refresher.checks.assertion import evaluate
from refresher.checks.columns import broken_columns, read_columns
from refresher.checks.judge import Broken, judge_nulls, judge_repeats, judge_rows
from refresher.config.model import Checks, View
from refresher.errors import CatalogError, FailureReason, RefreshError
from refresher.names import RelationName
from refresher.postgres import identifiers
from refresher.postgres.sessions import Connection

_ROWS = sql.SQL("SELECT count(*) FROM {relation}")
# count(column) counts what is not null; a row of nothing but nulls is not null itself.
_NULLS = sql.SQL("SELECT count(*), {nulls} FROM {relation}")
_NULLS_OF = sql.SQL("count(*) - count({column})")
_REPEATS = sql.SQL(
    "SELECT count(*), coalesce(sum(repeated.rows), 0)::bigint FROM ("
    "SELECT count(*) AS rows FROM {relation} WHERE {known} GROUP BY {key} HAVING count(*) > 1"
    ") AS repeated"
)
_KNOWN = sql.SQL("{column} IS NOT NULL")


class ChecksBrokenError(RefreshError):
    """New contents break checks; the message tells all of them."""

    def __init__(self, broken: Sequence[Broken]) -> None:
        told = "; ".join(map(str, broken))
        super().__init__(f"{told}; the old contents stay", reason=FailureReason.CHECK)
        self.broken = tuple(broken)


def as_recorded(error: BaseException | None) -> dict[str, list[str]]:
    """What the record of a failed run says of checks: the broken ones, and how each is."""
    broken = error.broken if isinstance(error, ChecksBrokenError) else ()
    return {
        "broken": [each.check for each in broken],
        "messages": [each.message for each in broken],
    }


def check_contents(
    connection: Connection,
    view: View,
    relation: RelationName,
    *,
    rows: int,
    previous_rows: int | None,
) -> None:
    """Judge new contents before the transaction commits that made them.

    Args:
        connection: in that transaction.
        view: whose checks they are.
        relation: the materialized view that holds the contents: the view's own, or one that is to
            take its place. `assert` finds that one under the view's name without schema.
        rows: how many it has.
        previous_rows: how many the contents had that it replaces; None if there were none.

    Raises:
        CatalogError: the relation does not exist.
        ChecksBrokenError: some checks are broken.
        psycopg.Error: something fails whatever the checks are.
    """
    broken = judge(connection, view, relation, rows=rows, previous_rows=previous_rows)
    if broken:
        raise ChecksBrokenError(broken)


def judge(
    connection: Connection,
    view: View,
    relation: RelationName,
    *,
    rows: int | None = None,
    previous_rows: int | None = None,
) -> tuple[Broken, ...]:
    """Judge all checks of a view within the open transaction, each broken at most once.

    Rows that aren't known are counted. What can't be judged is broken, too; of a plain view also
    what takes longer than a statement may: it is there to be read.

    Raises:
        CatalogError: nothing of the view's kind has the relation's name.
        psycopg.Error: something fails whatever the checks are.
    """
    columns: tuple[tuple[str, str], ...] | None = ()
    if view.fills is None:  # of filled columns the configuration has no check
        columns = read_columns(connection, relation, kind=RELATION_KINDS[view.kind])
    if columns is None:
        message = f"{relation} does not exist; run `refresher apply`"
        raise CatalogError(message)
    broken = list(broken_columns(connection, view.checks, columns))
    asker = Asker(
        connection=connection,
        passing=PASSING if view.refreshed else PASSING - {FailureReason.STATEMENT_TIMEOUT},
        stand_in=None if relation == view.relation else StandIn(_name(view), relation),
    )
    contents = _Contents(view.checks, relation, asker)
    questions = {
        "min_rows": lambda: contents.judge_rows(rows, previous_rows),
        "not_null": contents.judge_nulls,
        "unique": contents.judge_repeats,
        "assert": contents.judge_assertion,
    }
    # What lacks a column can't be asked about it.
    settled = {each.check for each in broken}
    for check, question in questions.items():
        if check not in settled:
            broken += _answer(check, question)
    return tuple(broken)


def _name(view: View) -> str:
    """What an assertion calls the contents."""
    return view.relation.name if view.fills is None else view.name


def _answer(check: str, question: Callable[[], Broken | None]) -> tuple[Broken, ...]:
    try:
        found = question()
    except RefreshError as error:
        found = Broken(check, str(error))
    return () if found is None else (found,)


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a relation holds, judged by what is asked about it."""

    checks: Checks
    relation: RelationName
    asker: Asker

    def judge_rows(self, rows: int | None, previous_rows: int | None) -> Broken | None:
        if rows is None:
            if self.checks.min_rows is None:
                return None
            rows = self._counted(_ROWS)[0]
        return judge_rows(self.checks, rows=rows, previous_rows=previous_rows)

    def judge_nulls(self) -> Broken | None:
        names = self.checks.not_null
        if not names:
            return None
        nulls = [_NULLS_OF.format(column=sql.Identifier(name)) for name in names]
        rows, *counts = self._counted(_NULLS, nulls=sql.SQL(", ").join(nulls))
        return judge_nulls(rows=rows, nulls=dict(zip(names, counts, strict=True)))

    def judge_repeats(self) -> Broken | None:
        repeats = {}
        for key in self.checks.unique:
            known = [_KNOWN.format(column=sql.Identifier(name)) for name in key]
            values, rows = self._counted(
                _REPEATS, known=sql.SQL(" AND ").join(known), key=identifiers.columns(key)
            )
            repeats[key] = values, rows
        return judge_repeats(repeats)

    def judge_assertion(self) -> Broken | None:
        assertion = self.checks.assertion
        if assertion is None or evaluate(self.asker, assertion):
            return None
        return Broken("assert", "it returned false")

    def _counted(self, question: sql.SQL, **parts: sql.Composable) -> tuple[int, ...]:
        relation = identifiers.relation(self.relation)
        ((*counts,),) = self.asker.ask(question.format(relation=relation, **parts))
        return tuple(counts)
