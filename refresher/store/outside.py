"""Seeing refreshes that are somebody else's: pg_cron's, or a person's.

They are no drift, and they leave as_of as it is: a lower bound. Everything committed before it is
still in the contents, only that more may be.
"""

from collections.abc import Mapping

from refresher.config.model import View
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, major
from refresher.store.traces import Trace, refreshed_outside

_QUERIES = load_queries("refresher.store", "outside.sql")

_COUNTS_IN_TIME = 15
"""Up to PostgreSQL 14 an idle session keeps its last counts to itself. From 15 on refresher has its
own told at once, and others' are after a minute at the latest (PGSTAT_MAX_INTERVAL in its
pgstat.c)."""


def see_refreshed_outside(connection: Connection, views: Mapping[str, View]) -> tuple[str, ...]:
    """The views whose contents somebody else has refreshed since that was last asked."""
    counted = connection.execute(
        _QUERIES["counted"],
        {
            "views": list(views),
            "schemas": [view.relation.schema for view in views.values()],
            "names": [view.relation.name for view in views.values()],
        },
    ).fetchall()
    # Not before the counters: a refresh of our own that ends in between would look like another's.
    traces = connection.execute(
        _QUERIES["traces"],
        {
            "views": [row["view"] for row in counted],
            "relations": [row["relation"] for row in counted],
            "rows_written": [row["rows_written"] for row in counted],
        },
    ).fetchall()
    in_time = major(connection) >= _COUNTS_IN_TIME
    seen = []
    for row in traces:
        known = Trace(storage=row["known_storage"], rows_written=row["known_rows_written"])
        found = Trace(storage=row["storage"], rows_written=row["rows_written"])
        exactly = in_time and not row["rolled_back"]
        if not refreshed_outside(known, found, counted_exactly=exactly):
            continue
        if connection.execute(_QUERIES["record_outside"], row).fetchone() is not None:
            seen.append(row["view"])
    return tuple(seen)
