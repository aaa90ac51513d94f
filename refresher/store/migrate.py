"""Bringing the `refresher` schema to this version: numbered files, run once each, in order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import psycopg
from psycopg import sql

from refresher.errors import StoreError
from refresher.names import quoted
from refresher.postgres import identifiers
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, set_local, short_transaction

_QUERIES = load_queries("refresher.store", "migrate.sql")

_LOCK_TIMEOUT = "4s"
"""Less than refreshes wait by default. Changing a table waits for refreshes of older daemons, which
may take long, and everybody else, who only reads it, waits behind that."""

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
    So can one that somebody made a schema `refresher` for.

    Raises:
        StoreError: the store is newer than this version, or PostgreSQL refuses to change it.
        psycopg.Error: the database went away.
    """
    known = migrations()
    if _version(connection) == known[-1].version:
        return ()
    try:
        with short_transaction(connection):
            connection.execute(_QUERIES["lock_migrations"])
            connection.execute(set_local("lock_timeout", _LOCK_TIMEOUT))
            return _run(connection, [step for step in known if step.version > _version(connection)])
    except psycopg.Error as error:
        if breaks_connection(error):
            raise
        raise StoreError(_refusal(connection, error)) from error


def _run(connection: Connection, missing: Sequence[Migration]) -> tuple[Migration, ...]:
    if not missing:
        return ()  # somebody else did it while this process waited
    known = [row["oid"] for row in connection.execute(_QUERIES["objects"])]
    if not _present(connection, "schema_exists"):
        connection.execute(_QUERIES["create_schema"])
    for step in missing:
        connection.execute(step.text)
        record = {"version": step.version, "name": step.name}
        connection.execute(_QUERIES["record_migration"], record)
    _shut_out_strangers(connection, known)
    return tuple(missing)


def _shut_out_strangers(connection: Connection, known: list[int]) -> None:
    """Take back what ALTER DEFAULT PRIVILEGES gave on new objects; grants on known ones stay."""
    for row in connection.execute(_QUERIES["strangers"], {"known": known}).fetchall():
        names = ("refresher",) if row["name"] is None else ("refresher", row["name"])
        connection.execute(
            sql.SQL("REVOKE ALL ON {kind} {name} FROM {role}").format(
                kind=sql.SQL(row["kind"]),
                name=sql.Identifier(*names),
                role=identifiers.role(row["role"]),
            )
        )


def _refusal(connection: Connection, error: psycopg.Error) -> str:
    database, role = connection.info.dbname, connection.info.user
    refused = f"the schema refresher in database {database!r} can't be created or upgraded"
    emptied = _present(connection, "store_exists")
    if emptied and isinstance(error, psycopg.errors.DuplicateTable):
        return (
            f"{refused}: it stands but does not say its version, as after a restore without data;"
            " nothing in it can be used but the queries of maintained tables (docs/operations.md"
            " tells how to keep them), so DROP SCHEMA refresher CASCADE, then try again"
        )
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return (
            f"{refused} now: refreshes at work use it; a daemon tries again by itself, a command"
            " wants to be called again; or stop the older daemons first"
        )
    if not isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{refused}: {describe(error)}"
    if _present(connection, "schema_exists"):
        owner = "let its owner do it, or give it away: ALTER SCHEMA refresher OWNER TO"
        return f"{refused} by {role!r}: {describe(error)}; {owner} {quoted(role)}"
    return (
        f"{refused} by {role!r}: {describe(error)}; have somebody run"
        f" CREATE SCHEMA refresher AUTHORIZATION {quoted(role)}"
    )


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
    if not _present(connection, "store_exists"):
        return 0
    try:
        row = connection.execute(_QUERIES["store_version"]).fetchone()
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


def _present(connection: Connection, question: str) -> bool:
    row = connection.execute(_QUERIES[question]).fetchone()
    return bool(row and row["present"])
