"""How the program under test comes to its database; REFRESHER_TEST_ROAD says which way.

The same tests hold on each: straight as a superuser, through a transaction pooler, and as a role
that may do no more than docs/privileges.md asks for.
"""

import os
from enum import StrEnum

from psycopg import sql

from refresher.postgres.sessions import Connection

VARIABLE = "REFRESHER_TEST_ROAD"


class Road(StrEnum):
    """One way."""

    DIRECT = "direct"
    PGBOUNCER = "pgbouncer"
    LEAST_PRIVILEGE = "least-privilege"


def chosen_road() -> Road:
    """The way this test run takes."""
    return Road(os.environ.get(VARIABLE, Road.DIRECT))


# Nothing that PostgreSQL grants everybody by itself; and what docs/privileges.md says of sources
# that change often, as those of a test do.
_NOTHING = """
REVOKE ALL ON DATABASE {database} FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
"""
_SOURCES = """
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role};
"""


def make_least(connection: Connection, role: str, recipe: str) -> None:
    """Make a role that can do what refresher needs in this database, and nothing else.

    The recipe is what `refresher doctor --sql` prints for a view in `public`. The sources are
    tables that are there, and those that this superuser creates from now on.
    """
    database = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL(_NOTHING).format(database=database))
    connection.execute(recipe.encode())
    connection.execute(sql.SQL(_SOURCES).format(role=sql.Identifier(role)))
