"""Whether the catalog and the contents are what the definitions say.

Asked of PostgreSQL itself: what is wanted is created under another name, in a transaction that is
rolled back, and compared with what stands. Nothing of refresher's own is used.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, LiteralString

import psycopg

from refresher.postgres.sessions import Connection
from tests.torture import rendering, scenario, strangers
from tests.torture.chain import Chain, Relation
from tests.torture.history import Standing
from tests.torture.rendering import quoted

_RELATION: LiteralString = """
SELECT
    c.relkind::text AS kind, c.relispopulated AS populated,
    pg_get_userbyid(c.relowner) AS owner, obj_description(c.oid, 'pg_class') AS comment,
    coalesce(c.reloptions, '{}') AS options, pg_get_viewdef(c.oid) AS query
FROM pg_class AS c WHERE c.oid = %s::regclass
"""
_COLUMNS: LiteralString = """
SELECT attname AS name, format_type(atttypid, atttypmod) AS type
FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""
_GRANTS: LiteralString = """
SELECT coalesce(r.rolname, 'public') AS role, lower(a.privilege_type) AS privilege, a.is_grantable
FROM pg_class AS c
CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE c.oid = %s::regclass AND a.grantee <> c.relowner
"""
_OWN_GRANTS: LiteralString = """
SELECT
    (SELECT count(*) FROM aclexplode(coalesce(relacl, acldefault('r', relowner)))
     WHERE grantee = relowner) AS stand,
    (SELECT count(*) FROM aclexplode(acldefault('r', relowner)) WHERE grantee = relowner) AS wanted,
    (SELECT count(*) FROM aclexplode(relacl) WHERE grantor <> relowner) AS of_others,
    (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL) AS of_columns
FROM pg_class AS c WHERE c.oid = %s::regclass
"""
_INDEXES: LiteralString = """
SELECT
    (SELECT relname FROM pg_class WHERE oid = i.indexrelid) AS name, indisunique AS is_unique,
    regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', '') AS body,
    indisvalid AND indisready AND indislive AS usable
FROM pg_index AS i WHERE i.indrelid = %s::regclass
"""
_OIDS: LiteralString = """
SELECT relname AS name, oid::bigint AS oid FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relname = ANY(%s)
"""
_EVERYTHING: LiteralString = """
SELECT 'relation ' || oid::regclass AS what FROM pg_class
WHERE relnamespace NOT IN (
    SELECT oid FROM pg_namespace
    WHERE nspname IN ('pg_catalog', 'information_schema') OR nspname ~ '^pg_toast'
) AND relkind NOT IN ('i', 'I', 'S', 't')
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL
SELECT 'function ' || oid::regprocedure FROM pg_proc
WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
"""


def read_standing(connection: Connection, chain: Chain) -> Standing:
    """What stands now, to be compared with what stands after a change."""
    managed = {f"relation {_displayed(connection, name)}" for name in _names(chain)}
    everything = {row["what"] for row in connection.execute(_EVERYTHING)}
    plain = [relation.name for relation in chain.relations if not relation.materialized]
    plain.append(scenario.AUDIT)
    return Standing(
        everything=frozenset(everything - managed),
        oids={row["name"]: row["oid"] for row in connection.execute(_OIDS, [plain])},
        indexes={
            (name, f"{'UNIQUE ' * index['is_unique']}{index['body']}"): index["name"]
            for name in _names(chain)
            for index in connection.execute(_INDEXES, [quoted(name)])
        },
        facts=strangers.read_facts(connection, chain),
    )


def differences(connection: Connection, chain: Chain) -> Iterator[str]:
    """Every way in which the views that stand are not those of the chain."""
    for position, relation in enumerate(chain.relations):
        found = connection.execute("SELECT to_regclass(%s) AS oid", [quoted(relation.name)])
        row = found.fetchone()
        if row is None or row["oid"] is None:
            yield f"{relation.name} is missing"
            continue
        try:
            for difference in _view_differences(connection, chain, position):
                yield f"{relation.name}: {difference}"
        except psycopg.Error as error:
            yield f"{relation.name}: what is wanted can't be had: {error}"


def _view_differences(connection: Connection, chain: Chain, position: int) -> Iterator[str]:
    relation = chain.relations[position]
    stands = _relation(connection, relation.name)
    wanted = {
        "kind": "m" if relation.materialized else "v",
        "populated": True,
        "owner": relation.owner,
        "comment": relation.comment,
        "options": sorted(f"{name}={value}" for name, value in relation.options.items()),
    }
    given = {**stands, "options": sorted(stands["options"])}
    yield from _compared({name: given[name] for name in wanted}, wanted)
    columns = [(row["name"], row["type"]) for row in _rows(connection, _COLUMNS, relation)]
    yield from _compared({"columns": columns}, {"columns": list(chain.shape(position))})
    yield from _grant_differences(connection, relation)
    with connection.transaction(force_rollback=True):
        connection.execute(f"CREATE TEMP VIEW wanted AS {rendering.query(chain, position)}")
        query = _relation(connection, "wanted")["query"]
        yield from _compared({"query": stands["query"]}, {"query": query})
    if relation.materialized and chain.shape(position) == tuple(columns):
        yield from _index_differences(connection, relation)
        yield from _content_differences(connection, relation.name, rendering.query(chain, position))


def _grant_differences(connection: Connection, relation: Relation) -> Iterator[str]:
    stand = {
        (row["role"], row["privilege"], row["is_grantable"])
        for row in _rows(connection, _GRANTS, relation)
    }
    wanted = {
        (role, privilege, grantable)
        for role, privileges in relation.grants.items()
        for privilege, grantable in privileges
    }
    yield from _compared({"grants": stand}, {"grants": wanted})
    (own,) = _rows(connection, _OWN_GRANTS, relation)
    yield from _compared(own, {**own, "stand": own["wanted"], "of_others": 0, "of_columns": 0})


def _index_differences(connection: Connection, relation: Relation) -> Iterator[str]:
    stand = _rows(connection, _INDEXES, relation)
    with connection.transaction(force_rollback=True):
        connection.execute(f"CREATE TEMP TABLE wanted AS TABLE {quoted(relation.name)}")
        for statement in rendering.create_indexes(relation, "wanted"):
            connection.execute(statement)
        wanted = connection.execute(_INDEXES, ["wanted"]).fetchall()
    yield from _compared({"indexes": _bodies(stand)}, {"indexes": _bodies(wanted)})
    for index in relation.indexes:
        if index.name is not None and index.name not in [row["name"] for row in stand]:
            yield f"no index is named {index.name!r}"


def _bodies(indexes: list[dict[str, Any]]) -> Counter[tuple[bool, str, bool]]:
    return Counter((row["is_unique"], row["body"], row["usable"]) for row in indexes)


def _content_differences(connection: Connection, name: str, query: str) -> Iterator[str]:
    stands = f"TABLE {quoted(name)}"
    for one, other, what in ((stands, query, "too many"), (query, stands, "missing")):
        rows = connection.execute(f"({one}) EXCEPT ALL ({other})").fetchall()
        if rows:
            yield f"{len(rows)} rows are {what}, such as {tuple(rows[0].values())}"


def _compared(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        if given[name] != value:
            yield f"{name}: {given[name]!r} instead of {value!r}"


def _names(chain: Chain) -> list[str]:
    return [relation.name for relation in chain.relations]


def _displayed(connection: Connection, name: str) -> str:
    row = connection.execute("SELECT to_regclass(%s)::text AS name", [quoted(name)]).fetchone()
    assert row is not None
    return str(row["name"])


def _relation(connection: Connection, name: str) -> dict[str, Any]:
    row = connection.execute(_RELATION, [quoted(name)]).fetchone()
    assert row is not None
    return row


def _rows(connection: Connection, query: LiteralString, relation: Relation) -> list[dict[str, Any]]:
    return connection.execute(query, [quoted(relation.name)]).fetchall()
