"""The strategy `concurrent`: PostgreSQL's own, which lets readers go on."""

from psycopg import sql

from refresher.names import RelationName
from refresher.postgres import identifiers

_REFRESH = sql.SQL("REFRESH MATERIALIZED VIEW CONCURRENTLY {relation}")


def statement(relation: RelationName) -> sql.Composed:
    """Compute the contents anew and write the rows that differ."""
    return _REFRESH.format(relation=identifiers.relation(relation))
