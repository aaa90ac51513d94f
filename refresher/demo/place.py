"""A place for the demo: a database and two roles of its own on a server that may be somebody's.

Nothing that stands is touched: where a name the demo needs is taken, it refuses. What it makes
carries a mark, so that a later demo recognises and removes what a killed one left behind.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from refresher.config.model import Secret
from refresher.demo.interrupts import postponed
from refresher.demo.packaged import packaged
from refresher.errors import RefresherError, UnreachableError
from refresher.postgres.failures import describe
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, Endpoint, connect

DATABASE = "refresher_demo"
AUTHENTICATOR = "authenticator"
SERVICE_ROLE = "service_role"
ROLES = (AUTHENTICATOR, SERVICE_ROLE)

_COMMON_DATABASE = "postgres"
"""The one that servers have for what belongs to no database (postgresql.org/docs, "initdb")."""

_QUERIES = load_queries("refresher.demo", "place.sql")
_MARK = "made by refresher demo, which may remove it"

_CREATE_ROLE = sql.SQL("CREATE ROLE {role} LOGIN PASSWORD {verifier}")
_MARK_ROLE = sql.SQL("COMMENT ON ROLE {role} IS {mark}")
_DROP_ROLE = sql.SQL("DROP ROLE IF EXISTS {role}")
# The same encoding and collation everywhere, so that the data are the same everywhere.
_CREATE_DATABASE = sql.SQL(
    "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
)
_MARK_DATABASE = sql.SQL("COMMENT ON DATABASE {database} IS {mark}")
_DROP_DATABASE = sql.SQL("DROP DATABASE IF EXISTS {database}")
_END_ALL_IN_IT = sql.SQL(" WITH (FORCE)")


class RefusedError(RefresherError):
    """The demo can't have a place on this server without touching what isn't its own."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The demo's own database: how its owner and its readers log in."""

    owner: Secret
    readers: Mapping[str, Secret]


@contextmanager
def ignored_environment() -> Iterator[None]:
    """Hide libpq's variables (PGHOST, PGPASSWORD, PGOPTIONS, …): they must not choose a server."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextmanager
def own_place(server: Secret, *, keep: bool) -> Iterator[Place]:
    """Make the database and the roles; remove them at the end, unless they are to be kept.

    Raises:
        RefusedError: a name is taken, a privilege is missing, or the roles can't log in.
        UnreachableError: the server can't be reached.
    """
    parameters = _parse(server)
    password = secrets.token_urlsafe()
    place = Place(
        owner=Secret(make_conninfo("", **{**parameters, "dbname": DATABASE})),
        readers={role: _login(parameters, role, password) for role in ROLES},
    )
    with ExitStack() as stack:
        with connect(_endpoint(server)) as admin:
            _require_privileges(admin)
            stack.enter_context(_alone(server, parameters))
            with postponed():
                _clear(admin)
                _create_roles(admin, password)
                # Whoever made the roles owns the place: from here on it is ours to remove.
                if not keep:
                    stack.callback(_remove, server)
                _create_database(admin)
        _require_logins(place)
        yield place


def _parse(server: Secret) -> dict[str, str | int | None]:
    try:
        return conninfo_to_dict(server.reveal())
    except psycopg.ProgrammingError:
        # libpq's message may quote the password, and so would the cause of ours.
        message = "--database-url is not valid; write postgresql://user:password@host/database"
        raise RefusedError(message) from None


def _login(parameters: Mapping[str, str | int | None], role: str, password: str) -> Secret:
    own = {"dbname": DATABASE, "user": role, "password": password}
    return Secret(make_conninfo("", **{**parameters, **own}))


def _endpoint(conninfo: Secret) -> Endpoint:
    return Endpoint(alias="demo", conninfo=conninfo.reveal(), session={})


def _require_privileges(admin: Connection) -> None:
    able = admin.execute(_QUERIES["privileges"]).fetchone() or {}
    if not (able.get("databases") and able.get("roles")):
        message = (
            "the demo makes a database and two roles of its own, which this user may not; name one"
            " with CREATEDB and CREATEROLE, or leave --database-url out for a private PostgreSQL"
        )
        raise RefusedError(message)


@contextmanager
def _alone(server: Secret, parameters: Mapping[str, str | int | None]) -> Iterator[None]:
    """Be the only demo on this server.

    Locks count within one database, so it is taken in one that all demos find; and in an open
    transaction, since through a transaction pooler a session's lock would be anybody's.
    """
    common = Secret(make_conninfo("", **{**parameters, "dbname": _COMMON_DATABASE}))
    try:
        holder = connect(_endpoint(common))
    except UnreachableError:
        holder = connect(_endpoint(server))
    try:
        holder.execute(_QUERIES["begin_alone"])
        row = holder.execute(_QUERIES["lock_others_out"]).fetchone()
        if not (row and row["alone"]):
            message = "another demo runs on this server; end it first, or name another server"
            raise RefusedError(message)
        yield
    finally:
        # If the server took the lock away with it, nothing is left to give back.
        with suppress(psycopg.Error):
            holder.execute(_QUERIES["rollback"])
        holder.close()


def _clear(admin: Connection) -> None:
    """Remove what a demo that was killed left here; refuse over anything else."""
    standing = admin.execute(
        _QUERIES["standing"], {"mark": _MARK, "database": DATABASE, "roles": list(ROLES)}
    ).fetchall()
    for found in standing:
        if not found["ours"]:
            message = (
                f"this server has a {found['kind']} {found['name']!r} that the demo did not make"
                " and will not touch; leave --database-url out for a private PostgreSQL"
            )
            raise RefusedError(message)
        if found["in_use"]:
            message = (
                f"the demo's {found['kind']} {found['name']!r} is in use: another demo runs on this"
                " server, or somebody is connected to what one left behind; end that first"
            )
            raise RefusedError(message)
    _drop(admin)


def _create_roles(admin: Connection, password: str) -> None:
    try:
        with admin.transaction():
            for role in ROLES:
                # The server gets the password hashed, so that its log can't hold it.
                verifier = admin.pgconn.encrypt_password(password.encode(), role.encode()).decode()
                for statement in (_CREATE_ROLE, _MARK_ROLE):
                    admin.execute(
                        statement.format(role=sql.Identifier(role), verifier=verifier, mark=_MARK)
                    )
            admin.execute(packaged("roles.sql"))
    except psycopg.Error as error:
        message = f"the demo can't make its roles on this server: {describe(error)}"
        raise RefusedError(message) from error


def _create_database(admin: Connection) -> None:
    name = sql.Identifier(DATABASE)
    try:
        admin.execute(_CREATE_DATABASE.format(database=name))
        admin.execute(_MARK_DATABASE.format(database=name, mark=_MARK))
    except psycopg.Error as error:
        message = f"the demo can't make its database on this server: {describe(error)}"
        raise RefusedError(message) from error


def _require_logins(place: Place) -> None:
    """The role's own settings count only in a session that logged in as it."""
    for role, conninfo in place.readers.items():
        try:
            psycopg.connect(conninfo.reveal()).close()
        except psycopg.Error as error:
            message = (
                f"the demo can't log in as its role {role!r} with a password; leave --database-url"
                f" out for a private PostgreSQL ({describe(error)})"
            )
            raise RefusedError(message) from error


def _remove(server: Secret) -> None:
    try:
        with postponed(), connect(_endpoint(server)) as admin:
            _drop(admin)
    except (psycopg.Error, UnreachableError) as error:
        message = (
            f"the demo can't remove its database {DATABASE} and its roles {' and '.join(ROLES)}"
            f" ({describe(error)}); the next demo on this server will, or drop them yourself"
        )
        kind = UnreachableError if isinstance(error, UnreachableError) else RefresherError
        raise kind(message) from error


def _drop(admin: Connection) -> None:
    drop = _DROP_DATABASE.format(database=sql.Identifier(DATABASE))
    try:
        admin.execute(drop + _END_ALL_IN_IT)
    except psycopg.errors.InsufficientPrivilege:
        # Autovacuum is at it, which only a superuser ends by FORCE; without, PostgreSQL ends it.
        admin.execute(drop)
    for role in ROLES:
        admin.execute(_DROP_ROLE.format(role=sql.Identifier(role)))
