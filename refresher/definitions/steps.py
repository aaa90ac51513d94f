"""The steps of an apply, each a transaction that finds for itself what is left to be done.

Two that want the same thing wait for each other: the second one finds it done.
"""

from collections.abc import Callable, Iterator

import psycopg

from refresher.config.model import Index, View
from refresher.definitions import statements
from refresher.definitions.compare import wanted_grants
from refresher.definitions.facts import read_facts
from refresher.definitions.model import RelationFacts
from refresher.errors import CatalogError
from refresher.postgres.failures import describe
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import (
    Connection,
    hide_store,
    local_settings,
    set_local,
    short_transaction,
)
from refresher.refresh.session import Session

_QUERIES = load_queries("refresher.definitions", "facts.sql")

# Changing an owner takes an ACCESS EXCLUSIVE lock: give way to readers early.
_LOCK_TIMEOUT = "300ms"


def create(connection: Connection, view: View, desired: RelationFacts) -> list[str]:
    """Create an empty view that nobody but its owner may read yet, with all that belongs to it."""
    with short_transaction(connection):
        if read_facts(connection, view.relation) is not None:
            return []
        kind = desired.kind
        create = statements.create(kind, view.relation, desired.query, desired.options)
        statements.execute_one(connection, create)
        if view.owner is not None:
            connection.execute(statements.set_owner(kind, view.relation, view.owner))
        # ALTER DEFAULT PRIVILEGES may have opened it to others the moment it was created.
        _grant(connection, view, require_facts(connection, view))
        if view.comment is not None:
            connection.execute(statements.set_comment(kind, view.relation, view.comment))
    return ["created"]


def dress(connection: Connection, view: View) -> list[str]:
    """Set owner, grants and comment of a view that stands."""
    done = []
    with short_transaction(connection):
        connection.execute(set_local("lock_timeout", _LOCK_TIMEOUT))
        facts = require_facts(connection, view)
        if view.owner is not None and view.owner != facts.owner:
            connection.execute(statements.set_owner(facts.kind, view.relation, view.owner))
            done.append(f"owner {view.owner}")
            facts = require_facts(connection, view)
        if view.grants is not None and wanted_grants(view, facts.owner) != dict(facts.grants):
            _grant(connection, view, facts)
            done.append("grants")
        if view.comment is not None and view.comment != facts.comment:
            connection.execute(statements.set_comment(facts.kind, view.relation, view.comment))
            done.append("comment")
    return done


def _grant(connection: Connection, view: View, facts: RelationFacts) -> None:
    for role in facts.grants:
        connection.execute(statements.revoke_all(view.relation, role))
    for role, privileges in (view.grants or {}).items():
        for statement in statements.grant(view.relation, role, privileges):
            connection.execute(statement)


def furnish(
    session: Session, view: View, desired: RelationFacts, tell: Callable[[str], None]
) -> Iterator[str]:
    """Create the indexes that are missing, then gather the statistics a new view lacks."""
    indexed = False
    for name, index in statements.wanted_indexes(view).items():
        standing = require_facts(session.connection(), view)
        if desired.indexes[name] in standing.indexes.values() or name in standing.indexes:
            continue
        tell(f"index {name}")
        if _create_index(session, view, name, index):
            indexed = True
            yield f"index {name}"
    if indexed or not _has_statistics(session.connection(), view):
        tell("analyze")
        with session.connection().transaction():
            _prepare(session, view)
            session.connection().execute(statements.analyze(view.relation))
        yield "analyzed"


def _create_index(session: Session, view: View, name: str, index: Index) -> bool:
    connection = session.connection()
    try:
        with connection.transaction():
            if name in require_facts(connection, view).indexes:
                return False
            _prepare(session, view)
            hide_store(connection)
            statements.execute_one(connection, statements.create_index(index, name, view.relation))
    except psycopg.errors.DuplicateTable as error:
        message = (
            f"the index {name!r} can't be created: {describe(error)}; rename what has its name"
        )
        raise CatalogError(message) from error
    return True


def _prepare(session: Session, view: View) -> None:
    """Grant long work on a view's contents the time and the memory its refreshes get."""
    timeouts = view.timeouts
    session.connection().execute(
        local_settings(
            session.settings,
            statement=timeouts.statement,
            lock=timeouts.lock,
            checks_client=session.checks_client,
        )
    )


def _has_statistics(connection: Connection, view: View) -> bool:
    oid = require_facts(connection, view).oid
    row = connection.execute(_QUERIES["analyzed"], {"oid": oid}).fetchone()
    return bool(row and row["analyzed"])


def require_facts(connection: Connection, view: View) -> RelationFacts:
    """The facts of what must stand.

    Raises:
        CatalogError: it does not.
    """
    facts = read_facts(connection, view.relation)
    if facts is None:
        message = f"{view.relation} was dropped by somebody else meanwhile; apply again"
        raise CatalogError(message)
    return facts
