"""Which strategy a run takes, and why. Pure.

`full` writes the whole view anew and keeps readers out meanwhile; `concurrent` writes what differs
while readers go on, needs a unique index, and costs more the more differs. Only measured numbers
of this view's own runs decide between them, never estimates. Tables and columns are refreshed in
one way each.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias, assert_never

from refresher.config.model import StrategyChoice
from refresher.durations import format_duration
from refresher.errors import FailureReason
from refresher.names import RelationName, quoted
from refresher.runs import Strategy

_MUCH_CHURN = 0.5
"""The share of rows from which on, with no full run measured yet, one is worth trying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseFacts:
    """What the choice depends on. Numbers are None until a run has measured them."""

    strategy: StrategyChoice
    allow_blocking: bool
    populated: bool
    unique_index: str | None
    """An index REFRESH CONCURRENTLY accepts: unique, valid, immediate, on plain columns, whole."""
    relation: RelationName
    key: tuple[str, ...]
    rows: int | None
    """As of the last success."""
    full_seconds: float | None
    concurrent_seconds: float | None
    concurrent_churn: int | None
    """Rows the last concurrent run inserted, updated and deleted."""
    only: Strategy | None = None
    """How a view of a kind is refreshed that can be in one way only."""
    merge_seconds: float | None = None
    """What the last run took that compared by key."""
    merge_churn: int | None = None
    """Rows that it inserted, updated and deleted."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The strategy to take; the reason is recorded with the run."""

    strategy: Strategy
    reason: str


@dataclass(frozen=True, slots=True)
class Impossible:
    """No strategy the configuration allows can work; the message says what to do."""

    reason: FailureReason
    message: str


Chosen: TypeAlias = Choice | Impossible


def choose(facts: ChooseFacts) -> Chosen:
    """Choose the strategy of one run."""
    if facts.only is not None:
        reason = _readers_go_on(facts.merge_seconds, _share(facts, facts.merge_churn))
        return Choice(facts.only, reason)
    if not facts.populated:
        return Choice(Strategy.FULL, "never populated")
    match facts.strategy:
        case Strategy.FULL:
            return Choice(Strategy.FULL, "configured")
        case Strategy.CONCURRENT | Strategy.MERGE | Strategy.COLUMNS:  # config refuses the others
            if facts.unique_index is None:
                return _no_index(facts)
            return Choice(Strategy.CONCURRENT, "configured")
        case "auto":
            return _choose_freely(facts)
        case other:
            assert_never(other)


def _choose_freely(facts: ChooseFacts) -> Chosen:
    if facts.unique_index is None:
        if facts.allow_blocking:
            return Choice(Strategy.FULL, "no unique index, and blocking is allowed")
        return _no_index(facts)
    if facts.allow_blocking and (reason := _full_is_cheaper(facts)) is not None:
        return Choice(Strategy.FULL, reason)
    reason = _readers_go_on(facts.concurrent_seconds, _churn(facts))
    return Choice(Strategy.CONCURRENT, reason)


def _full_is_cheaper(facts: ChooseFacts) -> str | None:
    full, concurrent, churn = facts.full_seconds, facts.concurrent_seconds, _churn(facts)
    if full is not None and concurrent is not None:
        if full < concurrent:
            return f"last took {_seconds(full)}, the last concurrent run {_seconds(concurrent)}"
        return None
    if churn is not None and churn >= _MUCH_CHURN:
        return f"the last concurrent run had {churn:.0%} churn"
    return None


def _readers_go_on(seconds: float | None, churn: float | None) -> str:
    measured = []
    if seconds is not None:
        measured.append(f"last took {_seconds(seconds)}")
    if churn is not None:
        measured.append(f"churn {churn:.1%}")
    return "; ".join(filter(None, ("readers go on", ", ".join(measured))))


def _churn(facts: ChooseFacts) -> float | None:
    return _share(facts, facts.concurrent_churn)


def _share(facts: ChooseFacts, churned: int | None) -> float | None:
    return None if not facts.rows or churned is None else churned / facts.rows


def _seconds(seconds: float) -> str:
    return format_duration(timedelta(seconds=seconds))


def _no_index(facts: ChooseFacts) -> Impossible:
    columns = ", ".join(map(quoted, facts.key)) or "<columns that identify a row>"
    blocking = "strategy: full" if facts.strategy == Strategy.CONCURRENT else "allow_blocking: true"
    make = "" if facts.key else "set the view's `key` to the columns that identify a row and "
    return Impossible(
        FailureReason.DEFINITION,
        f"{facts.relation} has no unique index that a concurrent refresh could use (valid, "
        f"immediate, on plain columns, without WHERE): {make}run `refresher apply`, or run "
        f"`CREATE UNIQUE INDEX ON {facts.relation} ({columns})`, or let refreshes keep readers "
        f"out with `{blocking}`",
    )
