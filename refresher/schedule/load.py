"""Reading how much a database has to do, for its throttle."""

from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.schedule.throttle import Load

_QUERIES = load_queries("refresher.schedule", "load.sql")


def read_load(connection: Connection) -> Load:
    """What is to be seen of a database's load at this moment.

    Raises:
        psycopg.Error: the database went away, or even looking is forbidden.
    """
    row = connection.execute(_QUERIES["load"]).fetchone()
    assert row is not None  # noqa: S101 - the query always returns one row
    return Load(**row)
