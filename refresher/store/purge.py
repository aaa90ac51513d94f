"""Forgetting old runs, so little at a time that whoever does it can react to other things, too."""

from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.store", "store.sql")

FIRST = ""
"""After which every view's name comes."""


def purge_runs(connection: Connection, *, after: str) -> str | None:
    """Forget runs of the next few views by name: what is older than 30 days, or beyond 10,000.

    Returns after whom to go on, None when all views' turn has come. Where there was much to forget
    they are the same ones again.
    """
    row = connection.execute(_QUERIES["purge_runs"], {"after": after}, prepare=True).fetchone()
    return row["after"] if row else None
