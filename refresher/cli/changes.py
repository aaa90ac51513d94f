"""What commands that change a database have in common: the work goes on in a thread, watched."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, assert_never

from refresher.cli import render
from refresher.cli.context import reach
from refresher.cli.interruption import Interruption, attend
from refresher.cli.presence import present
from refresher.cli.progress import show_activity
from refresher.cli.steps import plan_json, step_json
from refresher.config.model import Config
from refresher.definitions.plan import Plan
from refresher.definitions.populate import Populator
from refresher.definitions.result import StepOutcome, StepResult
from refresher.definitions.wording import title
from refresher.errors import RefresherError
from refresher.postgres.sessions import connect
from refresher.refresh.discharge import Discharge
from refresher.refresh.session import Session
from refresher.store.migrate import migrate


class _Interrupted(BaseException):
    """Unwinds a change that is to begin nothing more; no handler of errors is to stop it."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of changing one database."""

    database: str
    plan: Plan | None = None
    """What was to be carried out; None where it did not come to that."""
    results: list[StepResult] = field(default_factory=list)
    """How each step went that has ended."""
    error: RefresherError | None = None
    """Why it ended early, if nobody asked for that."""

    @property
    def exit_code(self) -> int:
        """As this database alone would have it."""
        if self.error is not None:
            return self.error.exit_code
        return int(any(result.outcome is not StepOutcome.DONE for result in self.results))

    def as_json(self) -> dict[str, Any]:
        """The plan, and of each step how it went; `outcome` is null if it was not begun."""
        ended = [
            {
                **step_json(result.step),
                "outcome": result.outcome,
                "detail": result.detail,
                "seconds": result.seconds,
            }
            for result in self.results
        ]
        steps = self.plan.steps if self.plan else ()
        left = [
            {**step_json(step), "outcome": None, "detail": None, "seconds": None}
            for step in steps[len(ended) :]
        ]
        return {**plan_json(self.database, self.plan, self.error), "steps": ended + left}


@dataclass(slots=True, kw_only=True)
class Change:
    """Changing one database. `run` blocks; `cancel` may be called from another thread."""

    session: Session
    config: Config
    report: Report
    act: Callable[["Change"], None]
    """Does it, with this as the one to tell."""
    activity: str = "reading the catalog"
    _discharge: Discharge | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def populator(self) -> Populator:
        """Knows the database and its views."""
        return Populator(
            session=self.session,
            database=self.config.databases[self.report.database],
            views=self.config.views_of(self.report.database),
            emit=lambda _event: None,
            began=self._begin,
            cancelled=self._cancelled,
        )

    def run(self) -> None:
        """Do it."""
        try:
            self.act(self)
        except Exception as error:
            if (
                self._cancelled.is_set()
            ):  # what is cancelled fails in many ways; all of them are one
                raise _Interrupted from error
            raise
        finally:
            self.session.discard()

    def cancel(self) -> None:
        """Begin nothing more, and cancel on the server what is under way; to be repeated."""
        self._cancelled.set()
        if self._discharge is not None:
            self._discharge.cancel()
        self.session.cancel()

    def tell(self, activity: str) -> None:
        """Take down what is under way; this is where a cancelled change ends."""
        self._require_not_cancelled()
        self._discharge = None
        self.activity = activity

    @property
    def under_way(self) -> str:
        """What is being done, in words, and how far a refresh is that is part of it."""
        discharge = self._discharge
        return f"{self.activity} ({discharge.activity})" if discharge else self.activity

    def planned(self, plan: Plan) -> None:
        """Take down what will be carried out."""
        self.report.plan = plan

    def done(self, result: StepResult) -> None:
        """Take down how a step went; one that was cancelled did not fail."""
        if result.outcome is StepOutcome.FAILED:
            self._require_not_cancelled()
        self.report.results.append(result)

    def _require_not_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise _Interrupted

    def _begin(self, discharge: Discharge) -> None:
        self._discharge = discharge
        if self._cancelled.is_set():
            discharge.cancel()


def carry_out(
    config: Config,
    alias: str,
    interruption: Interruption,
    act: Callable[[Change], None],
    *,
    silent: bool,
) -> Report:
    """Change one database, and show how it goes; `silent` prints nothing on stdout.

    What keeps it from being done is complained of, and is in the report.
    """
    report = Report(database=alias)
    try:
        _carry_out(config, report, interruption, act, silent=silent)
    except RefresherError as error:
        render.complain(error)
        report.error = error
    return report


def _carry_out(
    config: Config,
    report: Report,
    interruption: Interruption,
    act: Callable[[Change], None],
    *,
    silent: bool,
) -> None:
    alias = report.database
    with reach(config, alias) as endpoint:
        with connect(endpoint) as connection:
            migrations = migrate(connection)
        if migrations:
            made = "made" if migrations[0].version == 1 else "brought up to date"
            render.tell(f"{alias}: the store was {made}")
        with present(endpoint, config.views_of(alias)) as worker, show_activity() as display:
            session = Session(endpoint, worker=worker)
            change = Change(session=session, config=config, report=report, act=act)
            told = 0

            def watch() -> None:
                nonlocal told
                display.show(change.under_way)
                while told < len(report.results):
                    with display.aside():
                        _tell(report, told, silent=silent)
                    told += 1

            with contextlib.suppress(_Interrupted):
                attend(change.run, interruption, cancel=change.cancel, watch=watch)


def _tell(report: Report, number: int, *, silent: bool) -> None:
    """A line for a step that has ended; what did not succeed is told on stderr."""
    result = report.results[number]
    of = f"/{len(report.plan.steps)}" if report.plan else ""
    line = f"{number + 1}{of} {title(result.step)}"
    match result.outcome:
        case StepOutcome.DONE:
            if not silent:
                render.say(f"{line}: {result.detail}" if result.detail else line)
        case StepOutcome.FAILED | StepOutcome.SKIPPED:
            render.tell(f"{line}: {result.outcome}: {result.detail}")
        case other:
            assert_never(other)
