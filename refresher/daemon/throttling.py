"""Looking whether a database has too much to do, where a throttle is configured, and saying so."""

import psycopg

from refresher.config.model import Database
from refresher.events import DatabaseThrottled, DatabaseUnthrottled, Listener, ThrottleUnmeasured
from refresher.names import quoted
from refresher.observe.vitals import DatabaseVitals
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.sessions import Connection
from refresher.schedule.load import read_load
from refresher.schedule.throttle import exceeded, unseen


class Throttling:
    """One database's throttle; `look` is called by its loop."""

    def __init__(self, database: Database, *, vitals: DatabaseVitals, emit: Listener) -> None:
        self.reason: str | None = None
        """Why scheduled refreshes are delayed; None if they are not."""
        self._database = database
        self._vitals = vitals
        self._emit = emit
        self._problem: str | None = None
        vitals.throttled = False

    def look(self, connection: Connection) -> bool:
        """Look at the load, and tell what has changed; returns whether the throttle was lifted.

        Raises:
            psycopg.Error: the database went away.
        """
        throttle = self._database.throttle
        if not throttle.keys:
            return False
        before = self.reason
        try:
            load = read_load(connection)
        except psycopg.Error as error:
            if breaks_connection(error):
                raise
            self._tell_problem(f"nothing can be measured: {describe(error)}")
            self._decide(None)
            return before is not None
        hidden = unseen(throttle, load)
        self._tell_problem(_unseen(hidden, connection.info.user) if hidden else None)
        self._decide(exceeded(throttle, load))
        return before is not None and self.reason is None

    def _decide(self, reason: str | None) -> None:
        before, self.reason = self.reason, reason
        self._vitals.throttled = reason is not None
        if reason is not None and before is None:
            self._emit(DatabaseThrottled(database=self._database.alias, reason=reason))
        elif reason is None and before is not None:
            self._emit(DatabaseUnthrottled(database=self._database.alias))

    def _tell_problem(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            self._emit(ThrottleUnmeasured(database=self._database.alias, problem=problem))
        self._problem = problem


def _unseen(keys: tuple[str, ...], role: str) -> str:
    return (
        f"{', '.join(keys)} can't be measured in full: {quoted(role)} does not see what other roles"
        f" do; GRANT pg_read_all_stats TO {quoted(role)}"
    )
