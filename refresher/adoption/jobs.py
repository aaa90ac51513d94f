"""Reading the jobs of pg_cron, from wherever it keeps them."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from psycopg.rows import DictRow

from refresher.adoption.model import Job, Jobs, RefreshFunction
from refresher.errors import CatalogError, UnreachableError
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.adoption", "jobs.sql")


def read_jobs(
    connection: Connection, connect_to: Callable[[str], AbstractContextManager[Connection]]
) -> Jobs:
    """The jobs that work in this database; none where there is no pg_cron.

    Args:
        connection: the database.
        connect_to: opens another database of the same server: pg_cron has its jobs in one only
            (its setting `cron.database_name`), whatever database they work in.

    Raises:
        CatalogError: there are jobs, or may be, and they can't be read.
    """
    here = _place(connection)
    functions = tuple(RefreshFunction(**row) for row in connection.execute(_QUERIES["functions"]))
    elsewhere = here["jobs_database"]
    if here["present"] or elsewhere in {None, here["database"]}:
        return _read(connection, here, here["database"], functions)
    try:
        with connect_to(elsewhere) as home:
            return _read(home, _place(home), here["database"], functions)
    except UnreachableError as error:
        message = f"pg_cron may have jobs in the database {elsewhere!r}, but {error}"
        raise CatalogError(message) from error


def _place(connection: Connection) -> DictRow:
    row = connection.execute(_QUERIES["place"]).fetchone()
    return row or {}


def _read(
    home: Connection, place: DictRow, database: str, functions: tuple[RefreshFunction, ...]
) -> Jobs:
    if not place["present"]:
        return Jobs()
    if not place["readable"]:
        message = (
            f"this role may not read cron.job in the database {place['database']!r};"
            " GRANT USAGE ON SCHEMA cron and SELECT ON cron.job to it"
        )
        raise CatalogError(message)
    rows = home.execute(_QUERIES["jobs"], {"database": database})
    return Jobs(
        jobs=tuple(Job(**row) for row in rows),
        functions=functions,
        timezone=place["timezone"],
        database=place["database"] if place["database"] != database else "",
    )
