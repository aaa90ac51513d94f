"""Somebody else refreshes the same views: a job of pg_cron's, plainly and concurrently."""

import psycopg
from psycopg import sql

from refresher.postgres.sessions import Connection
from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage

_VIEWS = ("plain", "ordered", "through")
"""Not `reloaded`, which a REFRESH without refresher's locks on its sources may well leave empty."""
_LONGEST_PAUSE_SECONDS = 0.1


def inject(stage: Stage[Place], times: int) -> None:
    """Refresh by turns plainly and concurrently, whatever refresher is doing."""
    with stage.connect() as connection:
        for number in range(times):
            stage.rest(stage.chance.uniform(0, _LONGEST_PAUSE_SECONDS))
            view = stage.chance.choice(_VIEWS)
            stage.foreign(view, _refresh(connection, view, concurrently=number % 2 == 1))
            stage.injected()


def _refresh(connection: Connection, view: str, *, concurrently: bool) -> int:
    """Refresh a view as its stranger; returns the `made_by` of the new contents."""
    name = sql.Identifier(view)
    how = sql.SQL("CONCURRENTLY" if concurrently else "")
    while True:
        try:
            with connection.transaction():
                connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {} {}").format(how, name))
                row = connection.execute(
                    sql.SQL("SELECT min(made_by) AS made_by FROM {}").format(name)
                ).fetchone()
        except psycopg.errors.DeadlockDetected:
            continue
        assert row is not None
        return int(row["made_by"])


KIND = Kind(
    name="foreigner",
    shows="somebody else refreshes the same views",
    ci=200,
    full=2000,
    place=private,
    inject=inject,
)
