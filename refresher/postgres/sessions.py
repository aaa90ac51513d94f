"""Connections as refresher needs them, on any stock PostgreSQL and through a transaction pooler.

No session state is ever relied on: no session SET, no session locks, no LISTEN. Everything a
transaction needs is set by SET LOCAL at its start. Only of a connection that is ours alone, with no
pooler in between, two things are asked that last. The server looks after it: behind a network that
died, idle ones would stay for hours, and with each such death there would be more. And statements
are prepared that say `prepare=True`: planning them takes longer than running them.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from refresher.errors import UnreachableError
from refresher.postgres import identifiers
from refresher.postgres.failures import describe
from refresher.postgres.queries import load_queries
from refresher.postgres.versions import OLDEST_MAJOR

Connection: TypeAlias = psycopg.Connection[DictRow]

_QUERIES = load_queries("refresher.postgres", "sessions.sql")
_CONNECT_SECONDS = 5
# A client that vanished behind a dead network must lose its locks soon: keepalives notice the
# network, and the user timeout does where an answer is on its way, for then keepalives rest; the
# check interval makes a busy backend look (none does without the others; by experiment).
_CLIENT_CHECK = {
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "4s",
}
_SERVER_CHECK_MILLISECONDS = 6000
"""How long a server may be silent on the network before it counts as gone."""
_IDLE_IN_TRANSACTION = "10s"
_ONLY_WHEN_ASKED = 2**31
"""After how many executions psycopg prepares a statement of which nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How to reach one database."""

    alias: str
    conninfo: str
    session: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Endpoint({self.alias!r})"  # a conninfo may hold a password


def connect(endpoint: Endpoint, *, application: str = "refresher") -> Connection:
    """Open a connection to a writable database; it can be asked to prepare statements.

    Raises:
        UnreachableError: no server answers, it refuses us, it is too old, or it is a read-only
            replica. The message never holds a secret.
    """
    connection = _open(endpoint, application)
    connection.read_only = False
    try:
        _require_usable(endpoint, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_look(endpoint: Endpoint, *, application: str = "refresher") -> Connection:
    """Open a connection whose transactions can't write, to whatever server lets us in.

    A read-only replica is one, and so is a server too old to work with.

    Raises:
        UnreachableError: no server answers, or it refuses us. The message never holds a secret.
    """
    connection = _open(endpoint, application)
    connection.read_only = True
    return connection


def _open(endpoint: Endpoint, application: str) -> Connection:
    # psycopg reads no other style of times, and only the environment can ask libpq for one.
    os.environ["PGDATESTYLE"] = "ISO"
    try:
        connection = psycopg.connect(
            endpoint.conninfo,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
            application_name=application,
            client_encoding="UTF8",  # in a database in SQL_ASCII text would come as bytes
            connect_timeout=_CONNECT_SECONDS,
            keepalives_idle=2,
            keepalives_interval=1,
            keepalives_count=2,
            tcp_user_timeout=_SERVER_CHECK_MILLISECONDS,
        )
    except psycopg.Error as error:
        message = f"can't connect to database {endpoint.alias!r}: {describe(error)}"
        raise UnreachableError(message) from error
    # What `transaction()` begins with, so that no default of the role or the database applies:
    # under REPEATABLE READ whoever waits for a lock goes on with what stood before the wait.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    return connection


def _require_usable(endpoint: Endpoint, connection: Connection) -> None:
    if connection.info.server_version < OLDEST_MAJOR * 10_000:
        message = (
            f"database {endpoint.alias!r} is PostgreSQL {connection.info.server_version // 10_000};"
            f" refresher needs {OLDEST_MAJOR} or newer"
        )
        raise UnreachableError(message)
    try:
        backend = {"backend": connection.info.backend_pid}
        row = connection.execute(_QUERIES["usability"], backend).fetchone()
    except psycopg.Error as error:
        message = f"database {endpoint.alias!r} does not answer: {describe(error)}"
        raise UnreachableError(message) from error
    if row is None or row["replica"]:
        message = (
            f"database {endpoint.alias!r} is a read-only replica; point its conninfo at the primary"
            " (several hosts: add target_session_attrs=read-write)"
        )
        raise UnreachableError(message)
    if row["read_only"]:
        message = (
            f"the role {connection.info.user!r} may only read in database {endpoint.alias!r}:"
            " default_transaction_read_only is on; ALTER ROLE … SET default_transaction_read_only"
            " = off"
        )
        raise UnreachableError(message)
    if row["keepalives"] is not None:
        connection.prepare_threshold = _ONLY_WHEN_ASKED


def major(connection: psycopg.Connection[Any]) -> int:
    """The server's major version."""
    return connection.info.server_version // 10_000


def hide_store(connection: Connection) -> None:
    """In a transaction, keep names in users' SQL from meaning refresher's own tables.

    Where the role is called refresher they would: a search_path begins with "$user".
    """
    connection.execute(_QUERIES["hide_store"])


def detects_disconnects(connection: Connection) -> bool:
    """Whether the server can notice a vanished client; some platforms can't and raise."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(_QUERIES["watch_client"])
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege):
        return False
    return True


@contextmanager
def short_transaction(connection: Connection) -> Iterator[None]:
    """A transaction whose locks don't outlive the process by much.

    One that is stopped, or on the other side of a dead network, would keep them for ever.
    """
    with connection.transaction():
        connection.execute(set_local("idle_in_transaction_session_timeout", _IDLE_IN_TRANSACTION))
        yield


def local_settings(
    settings: Mapping[str, str], *, statement: timedelta, lock: timedelta, checks_client: bool
) -> sql.Composed:
    """The SET LOCAL statements a refreshing transaction begins with.

    They are utility statements: none takes a snapshot, which `SELECT set_config()` would.
    """
    values = {
        **settings,
        **_CLIENT_CHECK,
        "statement_timeout": milliseconds(statement),
        "lock_timeout": milliseconds(lock),
        "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION,
    }
    if checks_client:
        values["client_connection_check_interval"] = "1s"
    return sql.SQL("; ").join(set_local(name, value) for name, value in values.items())


def set_local(name: str, value: str) -> sql.Composed:
    """One SET LOCAL statement."""
    return sql.SQL("SET LOCAL {} = {}").format(identifiers.setting(name), sql.Literal(value))


def set_session(name: str, value: str) -> sql.Composed:
    """One SET statement, for a connection that is nobody else's and is thrown away."""
    return sql.SQL("SET {} = {}").format(identifiers.setting(name), sql.Literal(value))


def is_pooled(connection: Connection) -> bool:
    """Whether a pooler in transaction mode is in between, where a session's settings leak."""
    row = connection.execute(_QUERIES["backend"]).fetchone()
    return row is None or row["pid"] != connection.info.backend_pid


def milliseconds(duration: timedelta) -> str:
    """A duration as PostgreSQL's timeouts take it; at least 1, for 0 would mean none."""
    return f"{max(1, round(duration.total_seconds() * 1000))}ms"
