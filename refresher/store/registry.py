"""What a configuration says of its views, put where SQL can see it."""

from collections.abc import Collection, Mapping

from psycopg.types.json import Jsonb

from refresher.config.model import View
from refresher.freshness import effective_max_staleness
from refresher.graph import Graph
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.store.presence import FORGOTTEN_AFTER, configured, views_of
from refresher.store.standing import newer_than

_QUERIES = load_queries("refresher.store", "store.sql")


def register(
    connection: Connection,
    views: Mapping[str, View],
    graph: Graph,
    *,
    max_parallel: int,
    left: Collection[str] = (),
) -> None:
    """Make views known to the store: their fences, their place in the graph, their limits.

    Those that are `left` to others stay as these have made them known, if they have.
    """
    limits = effective_max_staleness(views, graph)
    places = [
        {
            "name": name,
            "upstreams": list(graph.refreshed_upstreams(name)),
            "unmanaged": list(graph.unmanaged_upstreams(name)),
        }
        for name in views
    ]
    connection.execute(
        _QUERIES["register_views"],
        {
            "views": list(views),
            "schemas": [view.relation.schema for view in views.values()],
            "names": [view.relation.name for view in views.values()],
            "kinds": [view.kind.value for view in views.values()],
            "target_lags": [view.target_lag for view in views.values()],
            "max_staleness": [limits[name] for name in views],
            "left": [name in left for name in views],
            "places": Jsonb(places),
        },
    )
    connection.execute(_QUERIES["add_slots"], {"max_parallel": max_parallel})


def left_to_daemons(
    connection: Connection, configuration: str, views: Collection[str]
) -> frozenset[str]:
    """Those of some views that living daemons have in a newer configuration than this one."""
    newer = newer_than(configuration, configured(connection))
    return views_of(connection, {daemon.worker for daemon in newer}).intersection(views)


def forget_abandoned(connection: Connection) -> None:
    """Drop views from the registry that no process has had in its configuration for an hour."""
    connection.execute(_QUERIES["forget_views"], {"forgotten_after": FORGOTTEN_AFTER})
