"""Audits: a refresh that looks again, in its own transaction, at a sample of what it wrote.

Nothing has changed since, so that a row that differs is a fault: the query does not answer the same
twice, or a trigger or a policy altered what was written. A table is put right as far as that helps;
into a materialized view nothing but a refresh can write.
"""

from collections.abc import Mapping
from datetime import datetime

from refresher.catalog.model import Target
from refresher.config.faults import shorten
from refresher.config.model import Audit, View
from refresher.postgres.sessions import Connection
from refresher.refresh import merge
from refresher.refresh.comparison import Comparison, compare, key_of, with_query

_SHOWN = 3
"""How many of the rows that differ are told."""


def is_due(audit: Audit, audited_at: datetime | None, as_of: datetime) -> bool:
    """Whether the refresh of this as_of is to be audited, after the last one that was."""
    return audited_at is None or as_of - audited_at >= audit.every


def look_again(connection: Connection, view: View, audit: Audit, target: Target) -> Comparison:
    """Compare a sample of what this transaction has refreshed, and put a table right.

    Raises:
        RefreshError: its rows can't be told apart, or a key is in more than one of the query.
        psycopg.Error: whatever PostgreSQL says.
    """
    key = key_of(view, target)
    with with_query(connection, target) as asked:
        found = compare(connection, asked, key, sample=audit.sample, limit=_SHOWN)
    if found.differing and target.query is not None:
        merge.apply(connection, target, key)
    merge.forget(connection)
    return found


def key_in_words(key: Mapping[str, str | None]) -> str:
    """A row's key, as a log shows it."""
    return ", ".join(
        f"{name}={'null' if value is None else shorten(value)}" for name, value in key.items()
    )
