"""Reading which base tables views come from."""

from collections.abc import Mapping
from dataclasses import dataclass

from refresher.catalog.introspection import Standing
from refresher.names import RelationName
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.catalog", "tables.sql")


@dataclass(frozen=True, slots=True)
class Table:
    """A base table, partitioned ones included."""

    relation: RelationName
    elsewhere: bool
    """Whether it is a foreign table: its rows are another server's."""


def read_tables(
    connection: Connection, views: Mapping[str, Standing]
) -> dict[str, tuple[Table, ...]]:
    """The tables that views read, also through plain views that are none of these; by relation.

    Tables that only a function's body reads are not in the catalog's dependencies.
    """
    names = {each.reader: name for name, each in views.items()}
    tables: dict[str, list[Table]] = {name: [] for name in views}
    asked = {"oids": list(names), "managed": [each.oid for each in views.values()]}
    for row in connection.execute(_QUERIES["tables"], asked):
        table = Table(RelationName(row["schema"], row["name"]), row["elsewhere"])
        tables[names[row["view"]]].append(table)
    return {name: tuple(found) for name, found in tables.items()}
