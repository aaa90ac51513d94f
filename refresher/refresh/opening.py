"""Step 1 of a refresh: what is tried leaves evidence, and what it needs to know is read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from refresher.catalog.introspection import (
    READ_TARGET,
    names_of,
    target_of,
)
from refresher.catalog.model import RELATION_KINDS, Target
from refresher.config.model import Kind, View
from refresher.errors import FailureReason, RefreshError
from refresher.names import quoted
from refresher.postgres.messages import ask_together
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.refresh.choose import Choice, ChooseFacts, Impossible, choose
from refresher.refresh.member import Member
from refresher.refresh.task import NotBegunError, Obstacle, Task
from refresher.runs import Run, Trigger
from refresher.store.state import read_clock

_QUERIES = load_queries("refresher.refresh", "attempt.sql")
_OPEN = (READ_TARGET, _QUERIES["open_run"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A task whose attempt is recorded."""

    task: Task
    run: Run
    target: Target | None
    numbers: Mapping[str, Any]
    """What the choice of the strategy depends on."""


def open_runs(connection: Connection, task: Task, worker: str) -> list[Opened]:
    """Record an attempt at a task and at the others of its group, for all of them or none.

    Returns them in the order in which they are to be refreshed.

    Raises:
        NotBegunError: there is nothing to do, or no room to do it.
        psycopg.Error: whatever PostgreSQL says.
    """
    if not task.others:
        return [_open(connection, task, worker)]
    with connection.transaction():
        return [
            _open(connection, task, worker)
            if member is task
            else _open_other(connection, member, worker)
            for member in task.in_order()
        ]


def _open_other(connection: Connection, task: Task, worker: str) -> Opened:
    try:
        return _open(connection, task, worker)
    except NotBegunError as end:
        if end.obstacle is not Obstacle.DISCHARGED:
            raise
    # It has what was due already, but not as of the same moment as the others.
    now = read_clock(connection)
    return _open(connection, replace(task, due_at=now, trigger=Trigger.SCHEDULE), worker)


def _open(connection: Connection, task: Task, worker: str) -> Opened:
    found, (opened,) = ask_together(
        connection,
        _OPEN,
        {
            "view": task.view.name,
            **names_of(task.view.relation),
            "upstreams": list(task.upstreams),
            "trigger": task.trigger,
            "due_at": task.due_at,
            "ready_at": task.ready_at,
            "attempt": task.attempt,
            "worker": worker,
            "max_parallel": task.max_parallel,
        },
    )
    if opened["obstacle"] is not None:
        raise NotBegunError(Obstacle(opened["obstacle"]))
    run = Run(
        id=opened["id"],
        view=task.view.name,
        due_at=task.due_at,
        trigger=task.trigger,
        attempt=task.attempt,
        started_at=opened["started_at"],
        queue_wait_seconds=opened["queue_wait_seconds"],
        worker=worker,
    )
    target = target_of(task.view.relation, found)
    return Opened(task=task, run=run, target=target, numbers=opened)


def member_of(opened: Opened) -> Member:
    """Who takes part in the transaction.

    Raises:
        RefreshError: it can't.
    """
    target = require(opened.target, opened.task.view)
    choice = _choose(opened.task, target, opened.numbers)
    return Member(task=opened.task, run=opened.run, target=target, choice=choice)


def require(target: Target | None, view: View) -> Target:
    """What stands under a view's name, if it is what the configuration says.

    Raises:
        RefreshError: (definition) it is not.
    """
    relation = view.relation
    if target is None:
        message = f"{relation} does not exist; run `refresher apply`"
        raise RefreshError(message, reason=FailureReason.DEFINITION)
    if target.relation_kind != RELATION_KINDS[view.kind]:
        kind = view.kind.value.replace("_", " ")
        message = f"{relation} is not a {kind}; rename it, or the view in the config"
        raise RefreshError(message, reason=FailureReason.DEFINITION)
    if view.kind is Kind.TABLE and target.query is None:
        message = f"{relation} was not made by refresher; rename it, or the view in the config"
        raise RefreshError(message, reason=FailureReason.DEFINITION)
    if view.kind is Kind.TABLE and set(view.key) not in target.unique_keys:
        key = ", ".join(map(quoted, view.key))
        message = f"the primary key of {relation} is not ({key}); run `refresher apply`"
        raise RefreshError(message, reason=FailureReason.DEFINITION)
    return target


def _choose(task: Task, target: Target, numbers: Mapping[str, Any]) -> Choice:
    facts = ChooseFacts(
        strategy=task.strategy,
        allow_blocking=task.view.allow_blocking,
        populated=target.populated,
        unique_index=target.unique_index,
        relation=target.relation,
        key=task.view.key,
        rows=numbers["rows"],
        full_seconds=numbers["full_seconds"],
        concurrent_seconds=numbers["concurrent_seconds"],
        concurrent_churn=numbers["concurrent_churn"],
        only=task.view.kind.strategies[0] if len(task.view.kind.strategies) == 1 else None,
        merge_seconds=numbers["merge_seconds"],
        merge_churn=numbers["merge_churn"],
    )
    match choose(facts):
        case Choice() as choice:
            return choice
        case Impossible(reason=reason, message=message):
            raise RefreshError(message, reason=reason)
