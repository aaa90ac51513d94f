"""Carrying out a plan, step by step.

One apply works in a database at a time: others wait, plan after it, and find it done. A step that
fails leaves what stood; those that need it are left out, the others go on. Interrupted anywhere,
the next apply drops what was being built and goes on.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import psycopg

from refresher.catalog.introspection import read_graph, read_standing
from refresher.catalog.model import RELATION_KINDS
from refresher.config.digest import digest
from refresher.config.model import View
from refresher.definitions.fences import alone
from refresher.definitions.marks import drop_leftovers
from refresher.definitions.patience import LOCK_TIMEOUT, persist
from refresher.definitions.plan import Plan
from refresher.definitions.planning import Planned, read_plan
from refresher.definitions.populate import Populator
from refresher.definitions.result import StepOutcome, StepResult
from refresher.definitions.step import CreateIndex, Populate, Rename, Step
from refresher.definitions.steps import Carrier
from refresher.errors import CatalogError, PlanError, RefreshError, UnreachableError
from refresher.graph import Graph
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.sessions import Connection, set_local, short_transaction
from refresher.store.definition import record_applied
from refresher.store.drift import ask_for_look
from refresher.store.registry import left_to_daemons, register


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a plan."""

    plan: Plan
    steps: tuple[StepResult, ...]

    @property
    def succeeded(self) -> bool:
        """Whether every step was done."""
        return all(result.outcome is StepOutcome.DONE for result in self.steps)


def apply(
    populator: Populator,
    *,
    prune: bool = False,
    only: Collection[str] | None = None,
    allow_drop: Collection[str] = (),
    tell: Callable[[str], None] = lambda _activity: None,
    done: Callable[[StepResult], None] = lambda _result: None,
    planned: Callable[[Plan], None] = lambda _plan: None,
) -> Applied:
    """Plan the definitions of one database, and carry the plan out.

    Args:
        populator: knows the database and its views.
        prune: whether views that are no longer configured are dropped.
        only: the views to apply; every definition is compared all the same.
        allow_drop: what may be dropped where it would not work any more, as problems name it.
        tell: called with what goes on, to show progress; what it raises ends the apply there.
        done: called with each step as it ends.
        planned: called with the plan before its first step.

    Raises:
        CatalogError: schemas, roles or privileges are missing; nothing was changed.
        ConfigError: PostgreSQL refuses a definition; nothing was changed.
        PlanError: the definitions are a circle, or there are problems; nothing was changed.
        UnreachableError: the database went away; the next apply goes on.
        psycopg.Error: the same, while nothing had been changed yet.
    """
    work = _Work(populator, prune=prune, only=only, allow_drop=allow_drop, tell=tell, done=done)
    with alone(populator.session, lambda: tell("waiting for another apply")):
        return work.run(planned)


@dataclass(slots=True)
class _Work:
    populator: Populator
    prune: bool = field(kw_only=True)
    only: Collection[str] | None = field(kw_only=True)
    allow_drop: Collection[str] = field(kw_only=True)
    tell: Callable[[str], None] = field(kw_only=True)
    done: Callable[[StepResult], None] = field(kw_only=True)
    _results: list[StepResult] = field(default_factory=list)

    def run(self, planned: Callable[[Plan], None]) -> Applied:
        self._clean_up()
        plan = self._plan()
        announced = plan.plan
        planned(announced)
        if announced.problems:
            raise PlanError("\n".join(announced.problems))
        # Upstreams as they will be: what is filled here records what it has read of them.
        self._register(plan.simulation.graph)
        renames = [step for step in plan.plan.steps if isinstance(step, Rename)]
        if renames:
            self._carry_out(plan, renames)
            plan = self._plan()
            self._register(plan.simulation.graph)
        self._carry_out(plan, [step for step in plan.plan.steps if step not in renames])
        connection = self.populator.session.connection()
        self._register(read_graph(connection, self.populator.views))
        record_applied(connection, self._standing(connection))
        ask_for_look(connection, self.populator.views)
        return Applied(plan=announced, steps=tuple(self._results))

    def _clean_up(self) -> None:
        connection = self.populator.session.connection()

        def attempt() -> None:
            with short_transaction(connection):
                connection.execute(set_local("lock_timeout", LOCK_TIMEOUT))
                drop_leftovers(connection)

        self.tell("reading the catalog")
        persist(attempt, waiting=lambda: self.tell("waiting for those who use what is left over"))

    def _plan(self) -> Planned:
        self.tell("planning")
        return read_plan(
            self.populator.session.connection(),
            self.populator.views,
            prune=self.prune,
            only=self.only,
            allow_drop=self.allow_drop,
        )

    def _register(self, graph: Graph) -> None:
        connection, views = self.populator.session.connection(), self.populator.views
        database = self.populator.database
        left = left_to_daemons(connection, digest(database, views), views)
        register(connection, views, graph, max_parallel=database.max_parallel, left=left)

    def _standing(self, connection: Connection) -> dict[str, View]:
        """The views that stand, as what they are to be."""
        views = self.populator.views
        standing = read_standing(connection, views)
        return {
            name: view
            for name, view in views.items()
            if name in standing and standing[name].relation_kind == RELATION_KINDS[view.kind]
        }

    def _carry_out(self, planned: Planned, steps: Sequence[Step]) -> None:
        carrier = Carrier(
            populator=self.populator,
            simulation=planned.simulation,
            keep_indexes=not self.prune,
            former=planned.former,
            tell=self.tell,
        )
        unfinished: set[str] = set()
        for number, step in enumerate(steps):
            blocking = sorted(unfinished & self._needed(planned, step))
            if blocking:
                result = _skipped(step, blocking)
            else:
                result = _carried_out(carrier, step)
                if result.outcome is StepOutcome.DONE and _is_last(steps, number):
                    carrier.analyze(step.views[0])
            if result.outcome is not StepOutcome.DONE:
                unfinished.update(step.views)
            self._results.append(result)
            self.done(result)

    @staticmethod
    def _needed(planned: Planned, step: Step) -> set[str]:
        """What a step builds on: its views, and everything they read."""
        reads = planned.simulation.graph.reads
        upstreams = [
            planned.simulation.graph.all_upstreams(label) for label in step.views if label in reads
        ]
        return {*step.views}.union(*upstreams)


def _carried_out(carrier: Carrier, step: Step) -> StepResult:
    began = time.monotonic()
    outcome, detail = StepOutcome.DONE, None
    try:
        detail = carrier.carry_out(step)
    except UnreachableError:
        raise
    except psycopg.Error as error:
        if breaks_connection(error):
            raise
        outcome, detail = StepOutcome.FAILED, describe(error)
    except (CatalogError, PlanError, RefreshError) as error:
        outcome, detail = StepOutcome.FAILED, str(error)
    return StepResult(step=step, outcome=outcome, detail=detail, seconds=time.monotonic() - began)


def _skipped(step: Step, blocking: Sequence[str]) -> StepResult:
    return StepResult(
        step=step,
        outcome=StepOutcome.SKIPPED,
        detail=f"waits for {', '.join(blocking)}",
        seconds=0.0,
    )


def _is_last(steps: Sequence[Step], number: int) -> bool:
    """Whether a view's contents and indexes are all made now, and want analyzing."""
    step = steps[number]
    if not isinstance(step, Populate | CreateIndex):
        return False
    following = steps[number + 1] if number + 1 < len(steps) else None
    return not (isinstance(following, CreateIndex) and following.views == step.views)
