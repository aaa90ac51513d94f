"""What the live phase shows: a picture that moves on a terminal, elsewhere a line a refresh."""

from collections.abc import Mapping
from datetime import datetime
from queue import Empty, SimpleQueue
from signal import Signals
from typing import TypeAlias

from rich.console import Group, RenderableType
from rich.text import Text

from refresher.config.model import Retry, View
from refresher.demo.cure import REFRESH_EVERY
from refresher.demo.picture import status, told
from refresher.demo.stage import Stage
from refresher.demo.watch import Watch
from refresher.demo.writer import Writer
from refresher.errors import RefresherError, UnreachableError
from refresher.events import DatabaseDown, DatabaseUp, Event, RunFinished, ViewDegraded
from refresher.freshness import staleness
from refresher.refresh.retry import may_pass
from refresher.runs import Outcome, Run

Happenings: TypeAlias = SimpleQueue[Event | Signals]
"""What the daemon tells, and the signals that ask to stop."""

_LOOK_SECONDS = 1.0


def until_stopped(happenings: Happenings, stage: Stage, watch: Watch, writer: Writer) -> None:
    """Show how it goes until a signal comes; a database that goes away is waited for."""

    def picture() -> RenderableType:
        snapshot, now = watch.snapshot, watch.now()
        if snapshot is None or now is None:
            return ""
        views = status(snapshot, watch.graph, now, full=REFRESH_EVERY, width=stage.width)
        return Group(views, Text(f"\n  {writer.orders:,} orders so far", style="dim"))

    teller = _Teller(stage, watch)
    away = False
    with stage.showing(picture):
        while not isinstance(happening := _next(happenings), Signals):
            match happening:
                case RunFinished(run=run) if not stage.moving:
                    teller.tell(run)
                case DatabaseDown(error=error) if not away:
                    away = True
                    stage.say(f"  The database is away, and is waited for: {error}")
                case DatabaseUp() if away:
                    away = False
                    stage.say("  The database is back.")
                case _:
                    watch.look()


def one_cycle(
    happenings: Happenings, stage: Stage, watch: Watch, views: Mapping[str, View]
) -> None:
    """Show how it goes until each of these views was refreshed.

    Raises:
        KeyboardInterrupt: a signal came before that.
        UnreachableError: the database went away.
        RefresherError: a view could not be refreshed.
    """
    waiting = {name for name, view in views.items() if view.refreshed}
    teller = _Teller(stage, watch)
    with stage.working("Waiting for the next refresh"):
        while waiting:
            match _next(happenings):
                case Signals():
                    raise KeyboardInterrupt
                case DatabaseDown(error=error):
                    message = f"the database went away: {error}; run the demo again"
                    raise UnreachableError(message)
                case ViewDegraded(view=view, problem=problem):
                    message = f"{view} can't be refreshed: {problem}"
                    raise RefresherError(message)
                case RunFinished(run=run):
                    teller.tell(run)
                    if run.succeeded:
                        waiting.discard(run.view)
                    elif _given_up(run, views[run.view].retry):
                        message = f"{run.view} could not be refreshed: {run.error}"
                        raise RefresherError(message)


class _Teller:
    """Tells refreshes, a line each: the staleness they found, and the one they left.

    What they found is what the last one left. Looking for it now might come too late: the next
    refresh may have begun.
    """

    def __init__(self, stage: Stage, watch: Watch) -> None:
        self._stage = stage
        self._watch = watch
        self._left: dict[str, datetime | None] = {
            view: watch.data_as_of(view) for view in watch.views
        }

    def tell(self, run: Run) -> None:
        """Tell how a run ended."""
        found = self._left[run.view]
        self._watch.look()
        left = self._left[run.view] = self._watch.data_as_of(run.view)
        at = run.finished_at or run.started_at
        self._stage.say(told(run, staleness(found, at), staleness(left, at)))


def _given_up(run: Run, retry: Retry) -> bool:
    """Whether the daemon leaves it at that until the next due instant."""
    if run.outcome is not Outcome.FAILED or run.failure is None:
        return False
    return not may_pass(run.failure) or run.attempt >= retry.attempts


def _next(happenings: Happenings) -> Event | Signals | None:
    try:
        return happenings.get(timeout=_LOOK_SECONDS)
    except Empty:
        return None
