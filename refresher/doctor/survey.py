"""Finding out on what a role would have to work: with a database at hand, and without."""

from collections.abc import Mapping

from psycopg.conninfo import conninfo_to_dict

from refresher.catalog.introspection import read_standing
from refresher.catalog.model import RELATION_KINDS
from refresher.config.model import EMBEDDED, Database, View
from refresher.doctor.recipe import Managed, Site
from refresher.doctor.trial import tried
from refresher.names import RelationName
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection, Endpoint, connect, major

_QUERIES = load_queries("refresher.doctor", "survey.sql")

_STORE = "refresher"


def imagine(database: Database, views: Mapping[str, View], *, version: int, role: str) -> Site:
    """A site that nobody looked at: nothing stands yet, and what views read is unknown."""
    conninfo = database.conninfo.reveal()
    name = None if conninfo == EMBEDDED else conninfo_to_dict(conninfo).get("dbname")
    return Site(
        major=version,
        database=str(name or database.alias),
        role=role,
        views=tuple(
            Managed(relation=view.relation, owner=view.owner, fills=view.fills, key=view.key)
            for view in views.values()
        ),
    )


def survey(endpoint: Endpoint, views: Mapping[str, View], *, role: str) -> Site:
    """Look at a database and these views, which are all of its. Nothing is left changed.

    Raises:
        UnreachableError: the database can't be reached or written.
        psycopg.Error: it went away, or lets nobody look at its catalog.
    """
    with connect(endpoint, application="refresher doctor") as connection:
        return _survey(connection, views, role)


def _survey(connection: Connection, views: Mapping[str, View], role: str) -> Site:
    owners, reads = _read_views(connection, views)
    managed = tuple(
        _managed(view, owners.get(name), reads.get(name), role, views)
        for name, view in views.items()
    )
    wanted = {view.owner for view in managed if view.owner is not None}
    asked = {"roles": [role, *sorted(wanted)]}
    roles = {row["name"]: row["superuser"] for row in connection.execute(_QUERIES["roles"], asked)}
    schemas = {"schemas": list({_STORE, *(view.relation.schema for view in managed)})}
    schema_owners = {
        row["name"]: row["owner"] for row in connection.execute(_QUERIES["schemas"], schemas)
    }
    return Site(
        major=major(connection),
        database=connection.info.dbname,
        role=role,
        role_stands=role in roles,
        views=managed,
        schema_owners=schema_owners,
        missing_owners=frozenset(wanted - set(roles) - {role}),
        superusers=frozenset(name for name, superuser in roles.items() if superuser),
        store_owner=schema_owners[_STORE],
        store_relations=tuple(
            row["name"] for row in connection.execute(_QUERIES["store_relations"])
        ),
    )


_Read = tuple[RelationName, str]
"""A relation, and whom it belongs to."""


def _managed(
    view: View,
    owner: str | None,
    reads: set[_Read] | None,
    role: str,
    views: Mapping[str, View],
) -> Managed:
    borrowed = view.owner is None and owner not in {None, role}
    acting = owner if borrowed else view.owner
    # Who may read managed views is what their `grants` say.
    managed = {each.relation for each in views.values()}
    return Managed(
        relation=view.relation,
        owner=acting,
        fills=view.fills,
        key=view.key,
        borrowed=borrowed,
        reads=None
        if reads is None
        else tuple(
            sorted(
                relation
                for relation, whose in reads
                if whose != (acting or role) and relation not in managed
            )
        ),
    )


def _read_views(
    connection: Connection, views: Mapping[str, View]
) -> tuple[dict[str, str], dict[str, set[_Read]]]:
    """Whom the views that stand belong to, and what each would read, as far as can be told."""
    standing = {
        name: each
        for name, each in read_standing(connection, views).items()
        if each.relation_kind == RELATION_KINDS[views[name].kind]
    }
    reads = _direct_reads(connection, {name: each.reader for name, each in standing.items()})
    with tried(connection, views) as trial:
        reads.update(_direct_reads(connection, trial.oids))
    return {name: each.owner for name, each in standing.items()}, reads


def _direct_reads(connection: Connection, oids: Mapping[str, int]) -> dict[str, set[_Read]]:
    names = {oid: name for name, oid in oids.items()}
    found: dict[str, set[_Read]] = {name: set() for name in oids}
    for row in connection.execute(_QUERIES["direct_reads"], {"oids": list(names)}):
        read = RelationName(row["schema"], row["name"])
        found[names[row["view"]]].add((read, row["owner"]))
    return found
