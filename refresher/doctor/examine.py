"""Looking at a database, one question at a time: what can't be answered stops nothing else.

Nothing is left changed: transactions are short, read-only, and rolled back where they are not.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg

from refresher.catalog.fillable import why_not_fillable
from refresher.catalog.introspection import read_standing
from refresher.config.model import View
from refresher.definitions.facts import read_facts
from refresher.definitions.requirements import closed_schemas, require_privileges
from refresher.doctor.model import Facts, Forbidden, Read, Server, Setting, Standing, Store, Usage
from refresher.doctor.trial import bounded, tried
from refresher.errors import CatalogError, UnreachableError
from refresher.names import RelationName
from refresher.postgres.failures import describe
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import (
    Connection,
    Endpoint,
    connect_to_look,
    detects_disconnects,
    major,
)
from refresher.store.migrate import migrations
from refresher.store.state import read_clock

T = TypeVar("T")

_QUERIES = load_queries("refresher.doctor", "probes.sql")

_SETTINGS = (
    *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"),
    *("transaction_timeout", "idle_session_timeout", "default_transaction_read_only"),
    *("autovacuum", "track_counts", "log_lock_waits"),
    *("work_mem", "maintenance_work_mem"),
    *("max_connections", "superuser_reserved_connections", "reserved_connections"),
)


def examine(endpoint: Endpoint, views: Mapping[str, View]) -> Facts:
    """Find out all there is to know of a database and of these views, which are all of its.

    Raises:
        UnreachableError: no server answers, it refuses us, or it goes away while we look.
    """
    with connect_to_look(endpoint, application="refresher doctor") as connection:
        try:
            server = _read_server(connection)
        except psycopg.Error as error:
            message = f"database {endpoint.alias!r} does not answer: {describe(error)}"
            raise UnreachableError(message) from error
        return _Examination(endpoint, connection, views).run(server)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What missing views would read, and those of which nobody can tell."""

    reads: tuple[Read, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()


@dataclass(slots=True)
class _Examination:
    endpoint: Endpoint
    connection: Connection
    views: Mapping[str, View]
    _unread: dict[str, str] = field(default_factory=dict)

    def run(self, server: Server) -> Facts:
        ask = self._ask
        standing = ask("the views", self._standing)
        reads = ask("what the views read", self._reads)
        wanted: _Wanted | None = None
        # Without TEMPORARY nothing can be tried, and that is told.
        temporary = ask("the privilege TEMPORARY", _keeps_temporary)
        if temporary and not server.replica:
            wanted = ask(
                "what missing views would read",
                lambda each: self._wanted(each, standing or ()),
                apart=True,
            )
        return Facts(
            server=server,
            # Apart from our own SET LOCAL.
            settings=ask("its settings", self._settings, apart=True) or {},
            usage=ask("its connections", self._usage),
            watches_clients=ask(
                "whether it notices a vanished client", detects_disconnects, apart=True
            ),
            clock_offset=ask("its clock", _clock_offset),
            store=ask("the store", self._store),
            standing=standing,
            reads=None if reads is None else (*reads, *(wanted.reads if wanted else ())),
            forbidden=wanted.forbidden if wanted else (),
            closed=ask("the views' schemas", self._closed) or frozenset(),
            lacking=ask("what `refresher apply` needs", self._lacking),
            unfillable=ask("the columns to be filled", self._unfillable) or {},
            unmanaged=ask("views that are not managed", self._unmanaged),
            unread=self._unread,
        )

    def _ask(
        self, what: str, question: Callable[[Connection], T], *, apart: bool = False
    ) -> T | None:
        """The answer to one question, or None if the server refuses it.

        Raises:
            UnreachableError: the connection is gone.
        """
        try:
            with contextlib.nullcontext() if apart else bounded(self.connection):
                return question(self.connection)
        except psycopg.Error as error:
            if self.connection.closed:
                message = f"database {self.endpoint.alias!r} went away: {describe(error)}"
                raise UnreachableError(message) from error
            self._unread[what] = describe(error)
            return None

    def _settings(self, connection: Connection) -> dict[str, Setting]:
        rows = connection.execute(_QUERIES["settings"], {"names": list(_SETTINGS)})
        return {row["name"]: Setting(**row) for row in rows}

    def _usage(self, connection: Connection) -> Usage | None:
        row = connection.execute(_QUERIES["usage"]).fetchone()
        return Usage(**row) if row else None

    def _store(self, connection: Connection) -> Store | None:
        found = connection.execute(_QUERIES["store"]).fetchone()
        if found is None:
            return None
        row = _with_tuples(found)
        has_versions = row.pop("has_versions")
        version = None
        if has_versions and "migration" not in row["closed"]:
            newest = connection.execute(_QUERIES["store_version"]).fetchone()
            version = newest["version"] if newest else None
        emptied = has_versions and "migration" not in row["closed"] and version is None
        return Store(**row, emptied=emptied, version=version, newest=migrations()[-1].version)

    def _standing(self, connection: Connection) -> tuple[Standing, ...]:
        names = self._names()
        query = _QUERIES.on("refreshable", major(connection))
        refreshable = {row["view"] for row in connection.execute(query, names)}
        return tuple(
            Standing(
                **row,
                relation=self.views[row["view"]].relation,
                refreshable=row["view"] in refreshable,
            )
            for row in map(_with_tuples, connection.execute(_QUERIES["standing"], names))
        )

    def _reads(self, connection: Connection) -> tuple[Read, ...]:
        readers = {
            name: each.reader for name, each in read_standing(connection, self.views).items()
        }
        return _read_reads(connection, readers, owners={})

    def _wanted(self, connection: Connection, standing: Iterable[Standing]) -> "_Wanted":
        missing = {each.view: self.views[each.view] for each in standing if each.oid is None}
        if not missing:
            return _Wanted()
        owners = {name: view.owner for name, view in missing.items() if view.owner is not None}
        with tried(connection, missing) as trial:
            reads = _read_reads(connection, trial.oids, owners)
        return _Wanted(reads, trial.forbidden)

    def _unfillable(self, connection: Connection) -> dict[str, tuple[str, ...]]:
        problems = {
            name: why_not_fillable(connection, view.fills.table, view.key, view.fills.columns)
            for name, view in self.views.items()
            if view.fills is not None
        }
        return {name: tuple(found) for name, found in problems.items() if found}

    def _lacking(self, connection: Connection) -> tuple[str, ...]:
        standing = {
            name: read_facts(connection, view.relation) for name, view in self.views.items()
        }
        try:
            require_privileges(connection, self.views, standing)
        except CatalogError as error:
            _, *statements = str(error).split("\n")  # a sentence, then a statement a line
            return tuple(statements)
        return ()

    def _closed(self, connection: Connection) -> frozenset[str]:
        return closed_schemas(connection, [view.relation.schema for view in self.views.values()])

    def _unmanaged(self, connection: Connection) -> tuple[RelationName, ...]:
        rows = connection.execute(_QUERIES["unmanaged"], self._names())
        return tuple(RelationName(row["schema"], row["name"]) for row in rows)

    def _names(self) -> dict[str, list[Any]]:
        return {
            "views": list(self.views),
            "schemas": [view.relation.schema for view in self.views.values()],
            "names": [view.relation.name for view in self.views.values()],
            "owners": [view.owner for view in self.views.values()],
        }


def _read_server(connection: Connection) -> Server:
    row = connection.execute(_QUERIES["server"]).fetchone()
    assert row is not None  # noqa: S101 - the query always returns one row
    # A pooler in transaction mode tells a number of its own when one connects.
    pooled = row.pop("pid") != connection.info.backend_pid
    row["lineage_hidden"] = tuple(row["lineage_hidden"])
    return Server(**row, major=major(connection), pooled=pooled)


def _read_reads(
    connection: Connection, oids: Mapping[str, int], owners: Mapping[str, str]
) -> tuple[Read, ...]:
    named = {
        "views": list(oids),
        "oids": list(oids.values()),
        "owners": [owners.get(name) for name in oids],
    }
    rows = connection.execute(_QUERIES["reads"], named)
    return tuple(
        Read(relation=RelationName(row.pop("schema"), row.pop("name")), **row) for row in rows
    )


def _keeps_temporary(connection: Connection) -> bool:
    row = connection.execute(_QUERIES["temporary"]).fetchone()
    return bool(row and row["keeps_temporary"])


def _clock_offset(connection: Connection) -> float:
    """The database's clock less ours, each taken for the middle of the round trip."""
    began = time.time()
    now = read_clock(connection)
    return now.timestamp() - (began + time.time()) / 2


def _with_tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
