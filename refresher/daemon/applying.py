"""`refresher run --apply`: definitions are applied beside the loop, which goes on showing life.

Filling a view takes as long as it takes: the loop keeps saying that this process lives meanwhile,
and a process that is asked to stop cancels it on the server like any refresh.
"""

import threading
from collections.abc import Mapping

from refresher.config.model import Database, View
from refresher.definitions.apply import apply
from refresher.definitions.populate import Populator
from refresher.definitions.result import StepOutcome, StepResult
from refresher.definitions.wording import title
from refresher.errors import CatalogError, ConfigError, PlanError
from refresher.events import ApplyRefused, Listener, StepEnded
from refresher.postgres.sessions import Endpoint
from refresher.refresh.discharge import Discharge
from refresher.refresh.session import Session


class ApplyingCancelled(BaseException):
    """Unwinds an apply that was cancelled; no handler of errors is to stop it."""


class Applying:
    """One apply to one database, in a thread of its own."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        database: Database,
        views: Mapping[str, View],
        prune: bool,
        worker: str,
        emit: Listener,
    ) -> None:
        self._database = database
        self._views = views
        self._prune = prune
        self._emit = emit
        self._session = Session(endpoint, worker=worker)
        self._cancelled = threading.Event()
        self._discharge: Discharge | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="apply", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ended(self, seconds: float) -> bool:
        """Wait for some seconds; whether it has ended by then.

        Raises:
            ApplyingCancelled: it was cancelled.
            RefresherError: the database went away.
            psycopg.Error: the same.
        """
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Give up, on the server too; to be repeated until it has ended."""
        self._cancelled.set()
        if self._discharge is not None:
            self._discharge.cancel()
        self._session.cancel()

    def _run(self) -> None:
        try:
            self._apply()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            # What is cancelled fails in many ways; all of them are one.
            self._error = ApplyingCancelled() if self._cancelled.is_set() else error
        finally:
            self._session.discard()

    def _apply(self) -> None:
        populator = Populator(
            session=self._session,
            database=self._database,
            views=self._views,
            emit=self._emit,
            began=self._began,
            cancelled=self._cancelled,
        )
        try:
            apply(
                populator,
                prune=self._prune,
                tell=lambda _activity: self._require_not_cancelled(),
                done=self._report,
            )
        except (CatalogError, ConfigError, PlanError) as refusal:
            # What stands can be refreshed all the same.
            problem = str(refusal)
            self._emit(ApplyRefused(database=self._database.alias, problem=problem))

    def _report(self, result: StepResult) -> None:
        if result.outcome is StepOutcome.FAILED:
            self._require_not_cancelled()
        self._emit(
            StepEnded(
                database=self._database.alias,
                step=title(result.step),
                outcome=result.outcome,
                detail=result.detail,
                seconds=result.seconds,
            )
        )

    def _began(self, discharge: Discharge) -> None:
        self._discharge = discharge
        if self._cancelled.is_set():
            discharge.cancel()

    def _require_not_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise ApplyingCancelled
