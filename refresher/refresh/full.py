"""The strategy `full`: PostgreSQL's plain REFRESH, which blocks readers while it runs."""

from datetime import timedelta

from psycopg import sql

from refresher.names import RelationName
from refresher.postgres import identifiers
from refresher.postgres.sessions import Connection, milliseconds, set_local

# Queued behind one long reader, this lock blocks every new one; with a timeout above
# deadlock_timeout (1 s) it is the reader who would be killed. Give way early and come back.
_LOCK_TIMEOUT = timedelta(milliseconds=300)

_REFRESH = sql.SQL("{set_lock_timeout}; REFRESH MATERIALIZED VIEW {relation}")


def refresh(connection: Connection, relation: RelationName) -> None:
    """Compute the contents anew and replace the old ones."""
    connection.execute(statement(relation))


def statement(relation: RelationName) -> sql.Composed:
    """What does it."""
    return _REFRESH.format(
        set_lock_timeout=set_local("lock_timeout", milliseconds(_LOCK_TIMEOUT)),
        relation=identifiers.relation(relation),
    )
