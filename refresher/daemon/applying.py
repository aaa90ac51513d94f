"""`refresher run --apply`: definitions are applied beside the loop, which goes on showing life.

Filling a view takes as long as it takes: the loop keeps saying that this process lives meanwhile,
and a process that is asked to stop cancels it on the server like any refresh.
"""

import threading
from collections.abc import Mapping

from refresher.config.model import Database, View
from refresher.definitions.apply import apply
from refresher.definitions.populate import Populator
from refresher.errors import RefresherError
from refresher.events import Listener, ViewDegraded
from refresher.postgres.sessions import Endpoint
from refresher.refresh.discharge import Discharge
from refresher.refresh.session import Session


class ApplyingCancelledError(RefresherError):
    """Unwinds an apply that was cancelled between two steps; the next one goes on."""


class Applying:
    """One apply to one database, in a thread of its own."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        database: Database,
        views: Mapping[str, View],
        worker: str,
        emit: Listener,
    ) -> None:
        self._database = database
        self._views = views
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
            RefresherError: it could not be carried out, or was cancelled.
            psycopg.Error: the database went away.
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
            self._error = error
        finally:
            self._session.discard()

    def _apply(self) -> None:
        populator = Populator(
            session=self._session,
            database=self._database,
            views=self._views,
            emit=self._emit,
            began=self._began,
        )
        for result in apply(populator, tell=self._next_step):
            problems = [result.error] if result.error else [d.message for d in result.drift]
            for problem in problems:
                degraded = ViewDegraded(
                    database=self._database.alias, view=result.view, problem=problem
                )
                self._emit(degraded)

    def _began(self, discharge: Discharge) -> None:
        self._discharge = discharge
        if self._cancelled.is_set():
            discharge.cancel()

    def _next_step(self, _view: str, _step: str) -> None:
        if self._cancelled.is_set():
            message = "applying the definitions was cancelled; the next start goes on with it"
            raise ApplyingCancelledError(message)
