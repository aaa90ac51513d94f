"""Reading what is known of a database's views. Nothing here writes."""

import time
from collections.abc import Mapping

from refresher import freshness
from refresher.config.model import Database, View
from refresher.graph import Graph
from refresher.observe.model import DatabaseSnapshot
from refresher.observe.part import Surroundings, read_part, reading
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.schedule.usual import read_aims

_QUERIES = load_queries("refresher.observe", "snapshot.sql")


def read_snapshot(
    connection: Connection, database: Database, views: Mapping[str, View], graph: Graph
) -> DatabaseSnapshot:
    """Read the state of these views, all of one database.

    Raises:
        psycopg.Error: the database went away, or does not answer in time.
        PlanError: the views read each other.
    """
    began = time.monotonic()
    around = read_surroundings(connection, database, views, graph)
    part = read_part(connection, around, views)
    return DatabaseSnapshot(
        database=database.alias,
        read_at=part.clock.now,
        read_at_monotonic=part.clock.monotonic,
        clock_offset=part.clock.offset,
        read_seconds=time.monotonic() - began,
        views=part.views,
        replicas=part.replicas,
        unmanaged_views=read_unmanaged_views(connection, views),
    )


def read_surroundings(
    connection: Connection, database: Database, views: Mapping[str, View], graph: Graph
) -> Surroundings:
    """What these views have in common.

    Raises:
        psycopg.Error: the database went away, or does not answer in time.
        PlanError: the views read each other.
    """
    with reading(connection):
        aims = read_aims(connection, views, graph)
    limits = freshness.effective_max_staleness(views, graph)
    return Surroundings(
        views=views,
        graph=graph,
        aims=aims,
        max_staleness=limits,
        throttle=database.throttle,
    )


def read_unmanaged_views(connection: Connection, views: Mapping[str, View]) -> int:
    """How many materialized views stand in this database that refresher does not manage."""
    names = {
        "schemas": [view.relation.schema for view in views.values()],
        "names": [view.relation.name for view in views.values()],
    }
    with reading(connection):
        row = connection.execute(_QUERIES["unmanaged_views"], names).fetchone()
    return row["unmanaged"] if row else 0
