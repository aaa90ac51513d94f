"""The strategy `concurrent`: PostgreSQL's own, which lets readers go on."""

from psycopg import sql

from refresher.names import RelationName
from refresher.postgres import identifiers
from refresher.postgres.sessions import Connection

_REFRESH = sql.SQL("REFRESH MATERIALIZED VIEW CONCURRENTLY {relation}")


def refresh(connection: Connection, relation: RelationName) -> None:
    """Compute the contents anew and write the rows that differ."""
    connection.execute(_REFRESH.format(relation=identifiers.relation(relation)))
