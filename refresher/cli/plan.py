"""`refresher plan`: what `refresher apply` would do, and what that would mean."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import click

from refresher.cli import render
from refresher.cli.context import databases_of, load, pick_views, reach
from refresher.cli.parameters import Command, allow_drop_option, config_option, json_option
from refresher.cli.steps import plan_json, print_plan
from refresher.config.model import Config
from refresher.definitions.plan import Plan
from refresher.definitions.planning import read_plan
from refresher.errors import PlanError, RefresherError
from refresher.postgres.sessions import connect
from refresher.schedule.usual import read_infeasible

_CHANGES = 10


@click.command(
    "plan",
    cls=Command,
    short_help="Show what apply would change, why, and what that blocks.",
    help="Show what `refresher apply` would do: each step with its reasons, the lock it takes, whom"
    " that blocks and what it costs, and how queries change, in PostgreSQL's own words. Nothing is"
    " changed, and nothing that stands is locked.\n\n"
    "Exit code 0: no changes; 10: there are some; 2: they can't be applied.",
    examples={
        "refresher plan": "before an apply, or in CI",
        "refresher plan customer_sources": "what one view needs",
        "refresher plan --allow-drop public.old_report": "let go what stands in the way",
        "refresher plan --json": "for programs",
    },
)
@click.argument("views", metavar="[VIEW]...", nargs=-1)
@allow_drop_option
@config_option
@json_option
@click.pass_context
def command(
    context: click.Context, views: tuple[str, ...], *, allow_drop: tuple[str, ...], as_json: bool
) -> int:
    """Plan in every database."""
    config = load(context)
    picked = pick_views(config, views)
    aliases = databases_of(picked.values()) if views else list(config.databases)
    looks = []
    for alias in aliases:
        only = picked if views else None
        look = _look(config, alias, only, allow_drop)
        looks.append(look)
        if look.error is not None:
            render.complain(look.error)
        if look.plan is not None and not as_json:
            if len(aliases) > 1:
                render.say(f"{alias}:")
            print_plan(look.plan)
    if as_json:
        render.print_json([plan_json(each.database, each.plan, each.error) for each in looks])
    elif plans := [each.plan for each in looks if each.plan is not None]:
        render.say(_summary(plans))
    # What keeps a plan from being made or applied is graver than that it has changes.
    failed = max((look.failure for look in looks), default=0)
    changes = any(each.plan.changes for each in looks if each.plan is not None)
    return failed or (_CHANGES if changes else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What came of planning in one database."""

    database: str
    plan: Plan | None = None
    error: RefresherError | None = None

    @property
    def failure(self) -> int:
        """The exit code, but for changes."""
        if self.error is not None:
            return self.error.exit_code
        return PlanError.exit_code if self.plan and self.plan.problems else 0


def _look(
    config: Config, alias: str, only: Collection[str] | None, allow_drop: Collection[str]
) -> _Look:
    try:
        with reach(config, alias) as endpoint, connect(endpoint) as connection:
            planned = read_plan(
                connection,
                config.views_of(alias),
                prune=config.prune,
                only=only,
                allow_drop=allow_drop,
            )
            targets = read_infeasible(connection, config.views_of(alias), planned.simulation.graph)
    except RefresherError as error:
        return _Look(database=alias, error=error)
    notes = (f"{found.view}: {found.problem}" for found in targets)
    return _Look(database=alias, plan=replace(planned.plan, notes=(*planned.plan.notes, *notes)))


def _summary(plans: Collection[Plan]) -> str:
    steps = sum(len(plan.steps) for plan in plans)
    problems = sum(len(plan.problems) for plan in plans)
    if problems:
        they = "it is" if problems == 1 else "they are"
        counted = f"{render.count(problems, 'problem')}, {render.count(steps, 'step')}"
        return f"{counted}; `refresher apply` changes nothing until {they} solved"
    if not steps:
        return "no changes"
    them = "it" if steps == 1 else "them"
    return f"{render.count(steps, 'step')}; `refresher apply` carries {them} out"
