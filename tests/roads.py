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


# What docs/privileges.md says, and nothing that PostgreSQL grants everybody by itself.
_LEAST = """
REVOKE ALL ON DATABASE {database} FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {database} TO {role};
GRANT USAGE, CREATE ON SCHEMA public TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role};
"""


def grant_least(connection: Connection, role: str) -> None:
    """Let a role do what refresher needs in this database, and nothing else.

    The sources are tables that this superuser creates from now on.
    """
    connection.execute(
        sql.SQL(_LEAST).format(
            database=sql.Identifier(connection.info.dbname), role=sql.Identifier(role)
        )
    )
