"""What belongs to a view goes along when the view is built anew."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.definitions.conftest import PLAIN, Workbench

# As PostgreSQL prints it, by the name of what it belongs to, if that is a column.
_BELONGINGS = """
SELECT coalesce(jsonb_object_agg(b.name, b.what), '{}') AS found
FROM (
    SELECT 'rule ' || rulename AS name,
        jsonb_build_array(pg_get_ruledef(oid), obj_description(oid, 'pg_rewrite')) AS what
    FROM pg_rewrite WHERE ev_class = %(view)s::regclass AND rulename <> '_RETURN'
    UNION ALL
    SELECT 'trigger ' || tgname,
        jsonb_build_array(pg_get_triggerdef(oid), obj_description(oid, 'pg_trigger'))
    FROM pg_trigger WHERE tgrelid = %(view)s::regclass
    UNION ALL
    SELECT 'column ' || attname, jsonb_build_array(
        col_description(attrelid, attnum), attacl::text, nullif(attstattarget, -1), attoptions,
        attstorage, attcompression, pg_get_expr(adbin, adrelid)
    )
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = %(view)s::regclass AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'statistics ' || stxname, jsonb_build_array(
        pg_get_statisticsobjdef(oid), stxstattarget, stxowner::regrole,
        obj_description(oid, 'pg_statistic_ext')
    )
    FROM pg_statistic_ext WHERE stxrelid = %(view)s::regclass
    UNION ALL
    SELECT 'index ' || indexrelid::regclass, jsonb_build_array(
        pg_get_indexdef(indexrelid), obj_description(indexrelid, 'pg_class'), indisclustered
    )
    FROM pg_index WHERE indrelid = %(view)s::regclass
    UNION ALL
    SELECT 'view', jsonb_build_array(
        relowner::regrole, reloptions, ARRAY(SELECT a FROM unnest(relacl::text[]) AS a ORDER BY a),
        obj_description(oid, 'pg_class')
    )
    FROM pg_class WHERE oid = %(view)s::regclass
) AS b
"""


def belongings(workbench: Workbench, view: str) -> dict[str, list[Any]]:
    row = workbench.connection.execute(_BELONGINGS.encode(), {"view": view}).fetchone()
    assert row is not None
    found: dict[str, list[Any]] = row["found"]
    return found


def test_rules_triggers_defaults_and_grants_of_a_plain_view_go_along(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    reader = make_role("reader")
    workbench.execute(
        "CREATE TABLE t (id int, name text, gone text); CREATE FUNCTION nothing() RETURNS trigger"
        " LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    workbench.define(
        "v", "SELECT id, name, gone FROM t", PLAIN, options={"security_barrier": "true"}
    )
    workbench.apply_well()
    workbench.execute(
        "CREATE RULE ins AS ON INSERT TO v DO INSTEAD INSERT INTO t VALUES (NEW.id, NEW.name);"
        "COMMENT ON RULE ins ON v IS 'It''s 100%s a rule {0}';"
        "CREATE RULE del AS ON DELETE TO v WHERE OLD.id > 1 DO UPDATE t SET id = 0;"
        "CREATE TRIGGER upd INSTEAD OF UPDATE ON v FOR EACH ROW"
        " EXECUTE FUNCTION nothing('100%', 'it''s'); COMMENT ON TRIGGER upd ON v IS 'a trigger';"
        "ALTER VIEW v ALTER id SET DEFAULT 7, ALTER name SET DEFAULT 'x%s';"
        "COMMENT ON COLUMN v.id IS 'the id'; COMMENT ON COLUMN v.gone IS 'the one that goes';"
        "COMMENT ON VIEW v IS 'the view';"
        f"GRANT SELECT (id), UPDATE (name) ON v TO {reader} WITH GRANT OPTION;"
        f"GRANT SELECT (gone) ON v TO {reader}; GRANT INSERT ON v TO PUBLIC;"
        f"GRANT SELECT ON v TO {reader} WITH GRANT OPTION"
    )
    before = belongings(workbench, "v")

    workbench.redefine("v", query="SELECT name, id FROM t")
    assert workbench.apply_well() == [("swap", "v")]

    del before["column gone"]
    assert belongings(workbench, "v") == before
    workbench.execute("INSERT INTO v DEFAULT VALUES")
    assert workbench.execute("SELECT id, name FROM v") == [(7, "x%s")]


def test_statistics_storage_and_comments_of_a_materialized_view_go_along(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    reader, owner = make_role("reader"), make_role("owner")
    workbench.execute(
        "CREATE TABLE t (id int, name text, gone text);"
        " INSERT INTO t SELECT n, n % 5, 'x' FROM generate_series(1, 100) AS n;"
        f" GRANT CREATE ON SCHEMA public TO {owner}; GRANT SELECT ON t TO {owner}"
    )
    workbench.define(
        "v",
        "SELECT id, name, gone FROM t",
        key=("id",),
        owner=owner,
        options={"fillfactor": "70"},
        comment="the view",
    )
    workbench.apply_well()
    workbench.execute(
        "CREATE STATISTICS st (dependencies, ndistinct) ON id, name FROM v;"
        f"ALTER STATISTICS st SET STATISTICS 77; ALTER STATISTICS st OWNER TO {owner};"
        "COMMENT ON STATISTICS st IS 'it''s'; CREATE STATISTICS of_gone ON id, gone FROM v;"
        "ALTER MATERIALIZED VIEW v ALTER name SET STATISTICS 55, ALTER name SET (n_distinct = 5),"
        " ALTER name SET STORAGE EXTERNAL, ALTER name SET COMPRESSION pglz;"
        "CREATE INDEX extra ON v (name) WITH (fillfactor = 50); COMMENT ON INDEX extra IS 'extra';"
        "COMMENT ON INDEX v_id_key IS 'the key'; ALTER MATERIALIZED VIEW v CLUSTER ON extra;"
        "CREATE INDEX of_gone_too ON v (gone); COMMENT ON COLUMN v.id IS 'the id';"
        f"GRANT SELECT (id) ON v TO {reader}; GRANT INSERT ON v TO PUBLIC;"
        f"GRANT SELECT ON v TO {reader} WITH GRANT OPTION"
    )
    before = belongings(workbench, "v")

    workbench.redefine("v", query="SELECT id, name FROM t WHERE id > 0")
    assert workbench.apply_well() == [("swap", "v")]

    for name in ("column gone", "statistics of_gone", "index of_gone_too"):
        del before[name]
    assert belongings(workbench, "v") == before
    assert workbench.one("SELECT count(*) FROM pg_stats_ext WHERE statistics_name = 'st'") == 1


@pytest.mark.pg(">= 15")
def test_where_and_how_contents_are_stored_goes_along(workbench: Workbench) -> None:
    place = f"place_{workbench.database.name}"
    workbench.execute("SET allow_in_place_tablespaces = on")
    workbench.execute(f"CREATE TABLESPACE {place} LOCATION ''")
    workbench.execute("CREATE TABLE t AS SELECT 1 AS id, 'x'::text AS name")
    workbench.define(
        "v",
        "SELECT id, name FROM t",
        key=("id",),
        options={"fillfactor": "70", "toast.autovacuum_enabled": "false"},
    )
    workbench.apply_well()
    workbench.execute(
        "CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;"
        f"ALTER MATERIALIZED VIEW v SET TABLESPACE {place};"
        f"ALTER INDEX v_id_key SET TABLESPACE {place};"
        "ALTER MATERIALIZED VIEW v SET ACCESS METHOD other"
    )
    assert workbench.kinds() == [("index", "v")]  # the configuration wants it where others are
    workbench.redefine("v", query="SELECT id, name FROM t WHERE id > 0")

    assert workbench.apply_well() == [("swap", "v")]

    assert workbench.execute(
        "SELECT s.spcname, a.amname, c.reloptions, o.reloptions AS toast"
        " FROM pg_class AS c JOIN pg_tablespace AS s ON s.oid = c.reltablespace"
        " JOIN pg_am AS a ON a.oid = c.relam JOIN pg_class AS o ON o.oid = c.reltoastrelid"
        " WHERE c.oid = 'v'::regclass"
    ) == [(place, "other", ["fillfactor=70"], ["autovacuum_enabled=false"])]
    workbench.redefine("v", options={})
    assert workbench.apply_well() == [("alter", "v")]
    workbench.execute("DROP MATERIALIZED VIEW v")
    workbench.execute(f"DROP TABLESPACE {place}")


def test_options_of_a_view_that_is_repointed_stay(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t AS SELECT 1 AS id")
    workbench.define("m", "SELECT id, 2 AS other FROM t")
    workbench.define("v", "SELECT id FROM m", PLAIN)
    workbench.define("checked", "SELECT id FROM t WHERE id > 0", PLAIN)
    workbench.apply_well()
    workbench.execute(
        "CREATE VIEW theirs WITH (security_barrier) AS SELECT id FROM m;"
        "COMMENT ON COLUMN v.id IS 'the id';"
        "ALTER VIEW v SET (security_barrier = true); ALTER VIEW v ALTER id SET DEFAULT 3;"
        "ALTER VIEW checked SET (check_option = 'local')"
    )
    before = {name: belongings(workbench, name) for name in ("v", "theirs", "checked")}

    workbench.redefine("m", query="SELECT id, 3 AS other FROM t")
    workbench.redefine("checked", query="SELECT id FROM t WHERE id > 1")
    steps = sorted(workbench.apply_well())

    assert [step[:2] for step in steps] == [("replace", "checked"), ("swap", "m")]
    assert set(steps[1][2:]) == {"v", "public.theirs"}
    assert {name: belongings(workbench, name) for name in before} == before


def test_statistics_of_a_column_of_another_type_stay_with_its_name(workbench: Workbench) -> None:
    workbench.define("m", "SELECT 1 AS id, 2 AS other")
    workbench.apply_well()
    workbench.execute("CREATE STATISTICS st ON id, other FROM m")

    workbench.redefine("m", query="SELECT 2::bigint AS other, 'x'::text AS more, 1 AS id")
    workbench.apply_well()

    (found,) = (what for name, what in belongings(workbench, "m").items() if "statistics" in name)
    assert found[0] == "CREATE STATISTICS public.st ON other, id FROM m"
