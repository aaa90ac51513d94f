from refresher.catalog.introspection import Standing
from refresher.catalog.tables import Table, read_tables
from refresher.names import RelationName
from tests.conftest import Database

STATEMENTS = """
CREATE TABLE plain_t (id int);
CREATE TABLE "Parted" (id int) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF "Parted" FOR VALUES FROM (0) TO (9);
CREATE FOREIGN DATA WRAPPER idle;
CREATE SERVER far FOREIGN DATA WRAPPER idle;
CREATE FOREIGN TABLE far_t (id int) SERVER far;
CREATE VIEW others AS SELECT id FROM "Parted" UNION SELECT id FROM far_t;
CREATE VIEW ours AS SELECT id FROM others;
CREATE MATERIALIZED VIEW upper AS SELECT id FROM plain_t;
CREATE VIEW lower AS SELECT o.id FROM ours AS o JOIN upper USING (id) JOIN plain_t USING (id);
CREATE FUNCTION hidden() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM plain_t';
CREATE VIEW lonely AS SELECT hidden();
"""


def test_tables_are_read_through_plain_views_that_are_none_of_those_asked_for(
    bare_database: Database,
) -> None:
    names = ("ours", "upper", "lower", "lonely")
    with bare_database.connect() as connection:
        connection.execute(STATEMENTS.encode())
        standing = {}
        for name in names:
            row = connection.execute("SELECT %s::text::regclass::oid AS oid", [name]).fetchone()
            assert row is not None
            standing[name] = Standing(
                oid=row["oid"], reader=row["oid"], relation_kind="v", populated=True, owner="me"
            )

        found = read_tables(connection, standing)
        alone = read_tables(connection, {"lower": standing["lower"]})

    plain, parted, far = (
        Table(RelationName("public", name), elsewhere=name == "far_t")
        for name in ("plain_t", "Parted", "far_t")
    )
    assert {name: set(tables) for name, tables in found.items()} == {
        "ours": {parted, far},
        "upper": {plain},
        "lower": {plain},
        "lonely": set(),
    }
    assert set(alone["lower"]) == {plain, parted, far}
