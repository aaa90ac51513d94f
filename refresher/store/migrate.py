"""Bringing the `refresher` schema to this version: numbered files, run once each, in order."""

import re
from dataclasses import dataclass
from importlib.resources import files

import psycopg
from psycopg import sql

from refresher.errors import StoreError
from refresher.postgres.failures import describe
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True, order=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    text: sql.SQL


def migrations() -> tuple[Migration, ...]:
    """Every migration this version knows, in order."""
    found = []
    for entry in files("refresher.store.migrations").iterdir():
        if match := _FILE.fullmatch(entry.name):
            text = sql.SQL(entry.read_text(encoding="utf-8"))
            found.append(Migration(int(match[1]), match[2], text))
    return tuple(sorted(found, key=lambda migration: migration.version))


def migrate(connection: Connection) -> tuple[Migration, ...]:
    """Create or upgrade the store; returns what was run. Safe when several processes start at once.

    A store that is current is only read, so that a role without CREATE on the database can work.

    Raises:
        StoreError: the store is newer than this version, or the role may not create it.
    """
    known = migrations()
    if _version(connection) == known[-1].version:
        return ()
    queries = load_queries("refresher.store", "migrate.sql")
    try:
        with connection.transaction():
            connection.execute(queries["lock_migrations"])
            connection.execute(queries["create_store"])
            missing = [step for step in known if step.version > _version(connection)]
            for step in missing:
                connection.execute(step.text)
                connection.execute(
                    queries["record_migration"], {"version": step.version, "name": step.name}
                )
    except psycopg.errors.InsufficientPrivilege as error:
        message = (
            f"the role {connection.info.user!r} may not create or upgrade the schema refresher in"
            f" database {connection.info.dbname!r}: {describe(error)}; grant it once with"
            f" GRANT CREATE ON DATABASE … TO {connection.info.user}"
        )
        raise StoreError(message) from error
    return tuple(missing)


def require_current(connection: Connection) -> None:
    """Make sure that the store can be used as it stands, without changing it.

    Raises:
        StoreError: it is missing or of another version; says which command creates it.
    """
    if _version(connection) < migrations()[-1].version:
        message = (
            f"database {connection.info.dbname!r} has no refresher store of this version yet;"
            " run `refresher apply` or `refresher run` first"
        )
        raise StoreError(message)


def _version(connection: Connection) -> int:
    """The store's version, 0 if there is none."""
    queries = load_queries("refresher.store", "migrate.sql")
    row = connection.execute(queries["store_exists"]).fetchone()
    if row is None or not row["present"]:
        return 0
    try:
        row = connection.execute(queries["store_version"]).fetchone()
    except psycopg.errors.InsufficientPrivilege as error:
        message = (
            f"the role {connection.info.user!r} may not read the schema refresher in database"
            f" {connection.info.dbname!r}; connect as the role that owns it, or a member of it"
        )
        raise StoreError(message) from error
    version: int = row["version"] if row else 0
    newest = migrations()[-1].version
    if version > newest:
        message = (
            f"the store in database {connection.info.dbname!r} is of version {version}, newer than"
            f" this refresher, which knows {newest}; upgrade refresher"
        )
        raise StoreError(message)
    return version
