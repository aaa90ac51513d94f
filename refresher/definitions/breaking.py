"""Which checks of columns the definitions would break, before anything is created."""

from collections.abc import Mapping

from refresher.checks.columns import broken_columns
from refresher.config.model import View
from refresher.definitions.model import RelationFacts
from refresher.postgres.sessions import Connection


def read_broken(
    connection: Connection, views: Mapping[str, View], desired: Mapping[str, RelationFacts]
) -> dict[str, tuple[str, ...]]:
    """By view, what is broken of the columns it would have; views with nothing broken are left out.

    Raises:
        psycopg.Error: the database went away.
    """
    found = {
        name: tuple(map(str, broken_columns(connection, views[name].checks, facts.columns)))
        for name, facts in desired.items()
    }
    return {name: broken for name, broken in found.items() if broken}


def would_break(
    connection: Connection, views: Mapping[str, View], desired: Mapping[str, RelationFacts]
) -> tuple[str, ...]:
    """The same, a line each, with the query's file."""
    return tuple(
        f"{views[name].query_path}: {name!r} would break its {broken}"
        for name, found in read_broken(connection, views, desired).items()
        for broken in found
    )
