"""Which checks of columns the definitions would break, before anything is created."""

from collections.abc import Mapping

from refresher.checks.columns import broken_columns
from refresher.config.model import View
from refresher.definitions.model import RelationFacts
from refresher.postgres.sessions import Connection


def would_break(
    connection: Connection, views: Mapping[str, View], desired: Mapping[str, RelationFacts]
) -> tuple[str, ...]:
    """What is broken of the columns the views would have, a line each, with the query's file.

    Raises:
        psycopg.Error: the database went away.
    """
    return tuple(
        f"{views[name].query_path}: {name!r} would break its {broken}"
        for name, facts in desired.items()
        for broken in broken_columns(connection, views[name].checks, facts.columns)
    )
