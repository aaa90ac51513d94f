"""`refresher apply`: carry out, step by step, what `refresher plan` shows."""

from collections import Counter
from collections.abc import Sequence

import click

from refresher.cli import render
from refresher.cli.changes import Change, Report, carry_out
from refresher.cli.context import databases_of, load, pick_views
from refresher.cli.interruption import INTERRUPTED, Interruption
from refresher.cli.parameters import Command, allow_drop_option, config_option, json_option
from refresher.definitions.apply import apply
from refresher.definitions.result import StepOutcome


@click.command(
    "apply",
    cls=Command,
    short_help="Make what stands what the definitions say, while readers go on.",
    help="Carry out the steps that `refresher plan` shows: create, rebuild beside and swap, index,"
    " alter, refresh. Readers go on reading throughout; what changes is exchanged at once.\n\n"
    "A plan with problems changes nothing: exit code 2. A step that fails leaves what stood, and"
    " keeps only what builds on it from being done. Interrupted anywhere, the next apply goes on"
    " from there.",
    examples={
        "refresher apply": "everything",
        "refresher apply customer_orders_v customer_sources": "what these views need",
        "refresher apply --allow-drop public.old_report": "let go what stands in the way",
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
    """Apply to every database."""
    config = load(context)
    picked = pick_views(config, views)
    # A store is wanted in every database, even in one that has no views yet.
    aliases = databases_of(picked.values()) if views else list(config.databases)
    only = picked if views else None
    interruption = Interruption()

    def act(change: Change) -> None:
        apply(
            change.populator,
            prune=config.prune,
            only=only,
            allow_drop=allow_drop,
            tell=change.tell,
            done=change.done,
            planned=change.planned,
        )

    reports = []
    with interruption.caught():
        for alias in aliases:
            if not interruption.asked:
                reports.append(carry_out(config, alias, interruption, act, silent=as_json))
                for note in _notes(reports[-1]):
                    render.tell(note)
    if as_json:
        render.print_json([report.as_json() for report in reports])
    if interruption.asked:
        render.tell("interrupted; `refresher apply` goes on from here")
        return INTERRUPTED
    _summarize(reports, silent=as_json)
    return max((report.exit_code for report in reports), default=0)


def _notes(report: Report) -> list[str]:
    return [f"note: {note}" for note in report.plan.notes] if report.plan else []


def _summarize(reports: Sequence[Report], *, silent: bool) -> None:
    tally = Counter(result.outcome for report in reports for result in report.results)
    failed, skipped = tally[StepOutcome.FAILED], tally[StepOutcome.SKIPPED]
    if failed or skipped:
        counted = ", ".join(
            f"{render.count(number, 'step')} {outcome}" for outcome, number in tally.items()
        )
        render.tell(f"{counted}; what stood still stands, and `refresher apply` goes on from here")
    elif not silent and not any(report.error for report in reports):
        done = tally[StepOutcome.DONE]
        render.say(f"{render.count(done, 'step')} done" if done else "no changes")
