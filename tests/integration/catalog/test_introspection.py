from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from refresher.catalog.introspection import (
    read_graph,
    read_standing,
    read_target,
    storage_files,
)
from refresher.catalog.model import Target
from refresher.config.model import Kind, View
from refresher.names import RelationName
from refresher.postgres import identifiers
from refresher.postgres.sessions import Connection
from tests.conftest import Database


@pytest.fixture
def connection(bare_database: Database) -> Iterator[Connection]:
    with bare_database.connect() as opened:
        yield opened


def execute(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement.encode())


def target(connection: Connection, name: str, schema: str = "public") -> Target:
    found = read_target(connection, RelationName(schema, name))
    assert found is not None
    return found


def oid_of(connection: Connection, name: str) -> Any:
    row = connection.execute("SELECT %s::text::regclass::oid AS oid", [name]).fetchone()
    assert row is not None
    return row["oid"]


def views(**kinds: Kind) -> dict[str, View]:
    return {
        name: View(
            name=name,
            database="crm",
            relation=RelationName("public", name),
            kind=kind,
            query="SELECT 1",
            query_path=Path("v.sql"),
        )
        for name, kind in kinds.items()
    }


PLAIN, REFRESHED = Kind.VIEW, Kind.MATERIALIZED_VIEW


def test_what_is_missing_is_no_target(connection: Connection) -> None:
    assert read_target(connection, RelationName("public", "v")) is None
    assert read_target(connection, RelationName("nowhere", "v")) is None


def test_a_target_as_it_stands(connection: Connection) -> None:
    execute(
        connection,
        "CREATE TABLE t (id int)",
        "CREATE MATERIALIZED VIEW v AS SELECT * FROM t WITH NO DATA",
    )

    found = target(connection, "v")

    assert found.oid == oid_of(connection, "v")
    assert (found.relation_kind, found.populated, found.unique_index) == ("m", False, None)
    (source,) = found.sources
    assert source.relation == RelationName("public", "t")
    assert source.lockable
    assert source.storages == (oid_of(connection, "t"),)


@pytest.mark.parametrize(
    ("index", "usable"),
    [
        ("UNIQUE INDEX i ON v (a)", True),
        ("UNIQUE INDEX i ON v (a, b)", True),
        ("UNIQUE INDEX i ON v (a) INCLUDE (b)", True),
        ("INDEX i ON v (a)", False),
        ("UNIQUE INDEX i ON v (a) WHERE a > 0", False),
        ("UNIQUE INDEX i ON v ((a + 0))", False),
        ("UNIQUE INDEX i ON v (a, (b + 0))", False),
    ],
)
def test_the_index_named_is_one_postgresql_takes(
    connection: Connection, index: str, *, usable: bool
) -> None:
    execute(
        connection,
        "CREATE MATERIALIZED VIEW v AS SELECT n AS a, n AS b FROM generate_series(1, 3) AS n",
        f"CREATE {index}",
    )

    assert target(connection, "v").unique_index == ("i" if usable else None)
    refresh = "REFRESH MATERIALIZED VIEW CONCURRENTLY v"
    if usable:
        execute(connection, refresh)
    else:
        with pytest.raises(Exception, match="cannot refresh"):
            execute(connection, refresh)


def test_sources_are_found_through_plain_views_in_one_order(connection: Connection) -> None:
    execute(
        connection,
        "CREATE TABLE b (id int); CREATE TABLE a (id int); CREATE TABLE c (id int)",
        "CREATE VIEW through AS SELECT id FROM a UNION ALL SELECT id FROM b",
        "CREATE VIEW twice AS SELECT id FROM through",
        "CREATE MATERIALIZED VIEW other AS SELECT id FROM c",
        "CREATE MATERIALIZED VIEW v AS"
        " SELECT id FROM twice JOIN other USING (id) WHERE id IN (SELECT id FROM through)",
    )

    sources = target(connection, "v").sources

    assert [source.relation.name for source in sources] == ["b", "a", "other"]
    assert [source.lockable for source in sources] == [True, True, False]


def test_what_a_rule_writes_to_is_not_read(connection: Connection) -> None:
    execute(
        connection,
        "CREATE TABLE t (id int); CREATE TABLE log (id int)",
        "CREATE VIEW p AS SELECT id FROM t",
        "CREATE RULE r AS ON INSERT TO p DO INSTEAD INSERT INTO log VALUES (new.id)",
        "CREATE MATERIALIZED VIEW v AS SELECT id FROM p",
    )

    assert [source.relation.name for source in target(connection, "v").sources] == ["t"]


def test_every_lockable_source_can_be_locked(
    connection: Connection, bare_database: Database, make_role: Callable[..., str]
) -> None:
    role = sql.Identifier(refresher := make_role("refresher"))
    execute(
        connection,
        "CREATE SCHEMA hidden; CREATE SCHEMA shown",
        "CREATE TABLE shown.readable (id int); CREATE TABLE shown.secret (id int)",
        "CREATE TABLE hidden.unreachable (id int)",
        "CREATE TABLE shown.parts (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE shown.low PARTITION OF shown.parts FOR VALUES FROM (0) TO (9)",
        "CREATE TABLE shown.high PARTITION OF shown.parts FOR VALUES FROM (9) TO (99)",
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w",
        "CREATE FOREIGN TABLE shown.foreign_table (id int) SERVER s",
        "CREATE MATERIALIZED VIEW shown.others AS SELECT 1 AS id",
        "CREATE MATERIALIZED VIEW shown.v AS SELECT count(*)"
        " FROM shown.readable, shown.secret, hidden.unreachable, shown.parts, shown.others,"
        " shown.foreign_table WITH NO DATA",
    )
    for grant in (
        "GRANT USAGE ON SCHEMA shown TO {}",
        "GRANT SELECT ON shown.readable, shown.parts, shown.others, shown.foreign_table TO {}",
        "GRANT SELECT ON hidden.unreachable TO {}",
    ):
        connection.execute(sql.SQL(grant).format(role))

    with bare_database.connect_as(refresher) as worker:
        found = target(worker, "v", "shown")
        lockable = [source.relation for source in found.sources if source.lockable]
        with worker.transaction():
            worker.execute(
                sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(
                    sql.SQL(", ").join(map(identifiers.relation, lockable))
                )
            )
        files = storage_files(worker, found.unlockable_storages)

    assert {relation.name for relation in lockable} == {"readable", "parts"}
    unlockable = ("shown.secret", "hidden.unreachable", "shown.others", "shown.foreign_table")
    assert set(found.unlockable_storages) == {oid_of(connection, name) for name in unlockable}
    assert len(files) == 4
    assert files.count(None) == 1  # a foreign table has no file here


def test_storages_of_a_partitioned_table_are_its_leaves(connection: Connection) -> None:
    execute(
        connection,
        "CREATE TABLE p (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF p FOR VALUES FROM (0) TO (9)",
        "CREATE TABLE mid PARTITION OF p FOR VALUES FROM (9) TO (99) PARTITION BY RANGE (id)",
        "CREATE TABLE leaf PARTITION OF mid FOR VALUES FROM (9) TO (19)",
        "CREATE MATERIALIZED VIEW v AS SELECT id FROM p",
    )

    (source,) = target(connection, "v").sources

    assert source.storages == (oid_of(connection, "low"), oid_of(connection, "leaf"))


def test_a_truncated_table_has_another_file_and_a_written_one_has_not(
    connection: Connection, bare_database: Database
) -> None:
    execute(connection, "CREATE TABLE t (id int); CREATE TABLE u (id int)")
    oids = (oid_of(connection, "t"), oid_of(connection, "u"))
    with bare_database.connect() as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        before = storage_files(reader, oids)
        execute(connection, "INSERT INTO t VALUES (1)")
        assert storage_files(reader, oids) == before
        execute(connection, "TRUNCATE t")
        reader.execute("SELECT FROM t")  # the new file: its snapshot chooses rows, not files
        after = storage_files(reader, oids)

    assert after[0] != before[0]
    assert after[1] == before[1]
    assert storage_files(connection, ()) == ()


def test_a_dropped_table_has_no_file(connection: Connection) -> None:
    execute(connection, "CREATE TABLE t (id int)")
    oid = oid_of(connection, "t")
    execute(connection, "DROP TABLE t")

    assert storage_files(connection, (oid,)) == (None,)


def test_standing_relations_are_found_by_their_names(connection: Connection) -> None:
    execute(connection, "CREATE VIEW p AS SELECT 1; CREATE TABLE t (id int)")

    found = read_standing(connection, views(p=PLAIN, t=REFRESHED, missing=PLAIN))

    assert {name: each.relation_kind for name, each in found.items()} == {"p": "v", "t": "r"}
    assert found["p"].owner == "postgres"


def test_the_graph_is_read_through_plain_views_of_others(connection: Connection) -> None:
    execute(
        connection,
        "CREATE TABLE t (id int)",
        "CREATE MATERIALIZED VIEW base AS SELECT id FROM t",
        "CREATE VIEW somebodys AS SELECT id FROM base",
        "CREATE VIEW another AS SELECT id FROM somebodys",
        "CREATE VIEW managed AS SELECT id FROM another",
        "CREATE MATERIALIZED VIEW top AS SELECT id FROM managed JOIN t USING (id)",
    )
    known = views(base=REFRESHED, managed=PLAIN, top=REFRESHED, missing=REFRESHED)

    graph = read_graph(connection, known)

    assert graph.reads == {
        "base": frozenset(),
        "managed": {"base"},
        "top": {"managed"},
        "missing": frozenset(),
    }
    assert graph.refreshed == {"base", "top", "missing"}
    assert graph.refreshed_upstreams("top") == ("base",)
    assert graph.unmanaged == {}


def test_contents_that_nobody_here_refreshes_are_told_apart(connection: Connection) -> None:
    execute(
        connection,
        'CREATE SCHEMA "Other"',
        "CREATE MATERIALIZED VIEW base AS SELECT 1 AS id",
        'CREATE MATERIALIZED VIEW "Other".theirs AS SELECT id FROM base',
        'CREATE VIEW through AS SELECT id FROM "Other".theirs',
        "CREATE VIEW plain AS SELECT id FROM through",
        "CREATE MATERIALIZED VIEW direct AS SELECT id FROM plain",
        "CREATE MATERIALIZED VIEW above AS SELECT id FROM direct",
    )
    known = views(base=REFRESHED, plain=PLAIN, direct=REFRESHED, above=REFRESHED)

    graph = read_graph(connection, known)

    # What they read is not read through them: their contents are as old as they are.
    assert graph.reads["plain"] == frozenset()
    assert graph.unmanaged == {"plain": {'"Other".theirs'}}
    assert graph.unmanaged_upstreams("plain") == ('"Other".theirs',)
    assert graph.unmanaged_upstreams("direct") == ('"Other".theirs',)
    assert graph.unmanaged_upstreams("above") == ()


def test_a_rule_on_writing_makes_no_upstream(connection: Connection) -> None:
    execute(
        connection,
        "CREATE TABLE t (id int)",
        "CREATE VIEW low AS SELECT id FROM t",
        "CREATE VIEW high AS SELECT id FROM low",
        "CREATE RULE r AS ON INSERT TO low DO INSTEAD INSERT INTO t SELECT id FROM high",
    )

    graph = read_graph(connection, views(low=PLAIN, high=PLAIN))

    assert graph.order() == ("low", "high")


def test_a_relation_of_another_kind_is_not_the_view(connection: Connection) -> None:
    execute(
        connection,
        "CREATE MATERIALIZED VIEW should_be_plain AS SELECT 1 AS id",
        "CREATE VIEW should_be_refreshed AS SELECT id FROM should_be_plain",
        "CREATE VIEW v AS SELECT id FROM should_be_refreshed",
    )
    known = views(should_be_plain=PLAIN, should_be_refreshed=REFRESHED, v=PLAIN)

    graph = read_graph(connection, known)

    assert graph.reads["v"] == frozenset()
    assert graph.unmanaged_upstreams("v") == ("public.should_be_plain",)


def test_a_simulated_definition_counts_instead_of_what_stands(connection: Connection) -> None:
    execute(
        connection,
        "CREATE MATERIALIZED VIEW a AS SELECT 1 AS id",
        "CREATE MATERIALIZED VIEW b AS SELECT 1 AS id",
        "CREATE VIEW v AS SELECT id FROM a",
        "CREATE VIEW v_simulated AS SELECT id FROM b JOIN v USING (id)",
    )
    known = views(a=REFRESHED, b=REFRESHED, v=PLAIN)

    graph = read_graph(connection, known, simulated={"v": oid_of(connection, "v_simulated")})

    assert graph.reads["v"] == {"b", "v"}
