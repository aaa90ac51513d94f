"""Definitions of many shapes: what PostgreSQL made of one is never taken for another one."""

from tests.integration.definitions.conftest import PLAIN, Workbench

_TABLES = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE SCHEMA crm;
CREATE TABLE people (
    id int PRIMARY KEY, name varchar(20), short char(3), born date, seen timestamptz,
    wealth numeric(12, 2), tags text[], doc jsonb, feeling mood, "Odd one" text
);
CREATE TABLE crm.orders (id int, person int, amount numeric, at timestamp, note text);
CREATE TABLE pairs (id int, other int);
CREATE FUNCTION crm.twice(n int, factor int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE
    AS 'SELECT $1 * $2';
CREATE FUNCTION rows_of(n int) RETURNS TABLE (a int, b text) LANGUAGE sql IMMUTABLE
    AS 'SELECT 1, ''x''::text';
"""

QUERIES = {
    "any_of_varchar": "SELECT id FROM people WHERE name IN ('a', 'b')",
    "none_of_varchar": "SELECT id FROM people WHERE name NOT IN ('a', 'b') AND short IN ('a', 'b')",
    "any_of_numbers": "SELECT id FROM people WHERE wealth IN (1, 2.5) AND id = ANY ('{1,2}')",
    "between": "SELECT id FROM people WHERE born BETWEEN '2020-01-01' AND date '2021-01-01'",
    "between_symmetric": "SELECT id FROM people WHERE id BETWEEN SYMMETRIC 9 AND 1",
    "case_simple": "SELECT CASE name WHEN 'a' THEN 1 WHEN 'b' THEN 2 ELSE 3 END AS n FROM people",
    "case_searched": "SELECT CASE WHEN id > 1 THEN 'many' ELSE NULL END AS n FROM people",
    "coalesced": "SELECT coalesce(name, short, 'none') AS n, nullif(id, 0) AS z FROM people",
    "greatest": "SELECT greatest(id, 1) AS g, least(wealth, 2) AS l FROM people",
    "casts": "SELECT id::text AS a, CAST(wealth AS int) AS b, '5'::smallint AS c FROM people",
    "typmods": "SELECT name::varchar(5) AS a, wealth::numeric(10,1) AS b, name::bpchar AS c FROM"
    " people",
    "constants": "SELECT 'it''s' AS a, E'tab\\t' AS b, 1e10 AS c, NULL AS d, true AS e, B'101' AS"
    " f",
    "negative": "SELECT -1 AS a, - id AS b, 2 - -1 AS c, (-2) ^ 2 AS d, -2::smallint AS e FROM"
    " people",
    "intervals": "SELECT seen - interval '1 day 2:03' AS a, interval '3' month AS b FROM people",
    "times": "SELECT seen AT TIME ZONE 'UTC' AS a, extract(year FROM born) AS b FROM people",
    "text_functions": "SELECT substring(name FROM 2 FOR 3) AS a, trim(BOTH 'x' FROM name) AS b,"
    " position('a' IN name) AS c, overlay(name PLACING 'x' FROM 1) AS d FROM people",
    "like": "SELECT id FROM people WHERE name LIKE 'a%' AND name NOT ILIKE '_b' AND name ~ '^c'"
    " AND name SIMILAR TO 'd|e' AND name LIKE 'f!%' ESCAPE '!'",
    "collated": 'SELECT name COLLATE "C" AS name FROM people ORDER BY short COLLATE "POSIX" DESC',
    "json": "SELECT doc -> 'a' ->> 'b' AS a, doc #>> '{c,0}' AS c, doc @> '{\"d\":1}' AS d,"
    " doc ? 'e' AS e FROM people",
    "json_built": "SELECT jsonb_agg(p) AS a, row_to_json(p) AS b FROM people p GROUP BY p",
    "arrays": "SELECT tags[1] AS a, tags[1:2] AS b, ARRAY[id, 2] AS c, tags || ARRAY['x'] AS d,"
    " 'y' = ANY (tags) AS e, ARRAY(SELECT o.id FROM crm.orders o) AS f FROM people",
    "rows": "SELECT ROW(id, name) = ROW(1, 'a') AS r, (id, born) < (1, date '2020-01-01') AS s"
    " FROM people",
    "enum": "SELECT id FROM people WHERE feeling = 'glad' OR feeling IN ('sad', 'glad')",
    "booleans": "SELECT id FROM people WHERE NOT (id > 1 OR id IS NULL) AND (born IS NOT NULL) IS"
    " TRUE"
    " AND name IS DISTINCT FROM short",
    "grouping_sets": "SELECT name, short, count(*) AS n, grouping(name, short) AS g FROM people"
    " GROUP BY GROUPING SETS ((name), (short), ())",
    "cube_and_rollup": "SELECT id, name, sum(wealth) AS s FROM people GROUP BY CUBE (id), ROLLUP"
    " (name)",
    "filtered": "SELECT count(*) FILTER (WHERE id > 1) AS a, array_agg(id ORDER BY name DESC) AS b,"
    " count(DISTINCT name) AS c, string_agg(name, ', ' ORDER BY id) AS d FROM people",
    "ordered_set": "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id) AS p,"
    " mode() WITHIN GROUP (ORDER BY name) AS m FROM people",
    "having": "SELECT name, max(id) AS m FROM people GROUP BY 1 HAVING count(*) > 1 ORDER BY 2",
    "windows": "SELECT id, row_number() OVER w AS a, sum(id) OVER (w ROWS BETWEEN 1 PRECEDING AND"
    " CURRENT ROW) AS b, lag(id, 2) OVER (PARTITION BY name ORDER BY born DESC NULLS LAST) AS c"
    " FROM people WINDOW w AS (ORDER BY id)",
    "window_frames": "SELECT sum(id) OVER (ORDER BY born RANGE BETWEEN interval '1 day' PRECEDING"
    " AND"
    " UNBOUNDED FOLLOWING EXCLUDE TIES) AS a, count(*) OVER () AS b FROM people",
    "distinct": "SELECT DISTINCT name, short FROM people",
    "distinct_on": "SELECT DISTINCT ON (name) name, id FROM people ORDER BY name, id DESC",
    "limits": "SELECT id FROM people ORDER BY id LIMIT 5 OFFSET 2",
    "ties": "SELECT id FROM people ORDER BY name FETCH FIRST 3 ROWS WITH TIES",
    "sampled": "SELECT id FROM people TABLESAMPLE BERNOULLI (10) REPEATABLE (1)",
    "values": "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (id, name)",
    "bare_values": "VALUES (1, 'a'), (2, NULL)",
    "table": "TABLE pairs",
    "unions": "SELECT id FROM people UNION SELECT id FROM pairs UNION ALL SELECT 3 ORDER BY 1",
    "sets": "(SELECT id FROM people EXCEPT SELECT id FROM pairs) INTERSECT ALL SELECT other FROM"
    " pairs",
    "set_types": "SELECT 1 AS a, 'x' AS b UNION SELECT 2.5, name FROM people",
    "recursive": "WITH RECURSIVE up (id, depth) AS (SELECT id, 1 FROM pairs UNION ALL"
    " SELECT p.other, up.depth + 1 FROM pairs p JOIN up ON up.id = p.id WHERE up.depth < 5)"
    " SELECT * FROM up",
    "searched": "WITH RECURSIVE up AS (SELECT id, other FROM pairs UNION ALL SELECT p.id, p.other"
    " FROM pairs p JOIN up ON up.other = p.id) SEARCH DEPTH FIRST BY id SET place"
    " CYCLE id SET looped USING path SELECT id, other, looped FROM up ORDER BY place",
    "ctes": "WITH a AS MATERIALIZED (SELECT id FROM people), b (x) AS NOT MATERIALIZED"
    " (SELECT id FROM a) SELECT x, (SELECT count(*) FROM a) AS n FROM b",
    "hidden_cte": "WITH people AS (SELECT 1 AS id) SELECT people.id FROM people",
    "joins": "SELECT p.id, o.amount, q.other FROM people p LEFT JOIN crm.orders o ON o.person ="
    " p.id"
    " RIGHT JOIN pairs q ON q.id = p.id CROSS JOIN pairs r",
    "full_join": "SELECT coalesce(p.id, q.id) AS id FROM people p FULL JOIN pairs q ON p.id = q.id",
    "using": "SELECT id, name, other FROM people JOIN pairs USING (id)",
    "using_alias": "SELECT j.id, name FROM people JOIN pairs USING (id) AS j",
    "using_left": "SELECT * FROM pairs LEFT JOIN (SELECT id, name FROM people) AS p USING (id)",
    "using_full": "SELECT id, a.other AS l, b.other AS r FROM pairs a FULL JOIN pairs b USING (id)",
    "natural": "SELECT * FROM pairs NATURAL JOIN (SELECT id, amount FROM crm.orders) AS o",
    "nested_join": "SELECT a.id FROM people a LEFT JOIN (pairs b JOIN pairs c ON b.id = c.id) ON"
    " a.id = b.id",
    "aliased_join": "SELECT j.x, j.y FROM (people a JOIN pairs b ON a.id = b.id) AS j (x, y)",
    "self_join": "SELECT pairs.id, pairs_1.other FROM pairs, pairs AS pairs_1 WHERE pairs.id ="
    " pairs_1.id",
    "lateral": "SELECT p.id, o.amount FROM people p LEFT JOIN LATERAL (SELECT amount FROM"
    " crm.orders"
    " WHERE person = p.id ORDER BY at DESC LIMIT 1) AS o ON true",
    "functions": "SELECT crm.twice(id) AS a, crm.twice(id, 3) AS b, crm.twice(n => id) AS c FROM"
    " people",
    "set_functions": "SELECT g.n, r.b, u.o FROM generate_series(1, 3) AS g (n), rows_of(g.n) AS r,"
    " unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u (w, o)",
    "rows_from": "SELECT * FROM ROWS FROM (generate_series(1, 2), rows_of(1)) WITH ORDINALITY AS"
    " f (a, b, c, d)",
    "selected_set": "SELECT id, unnest(tags) AS tag, (rows_of(id)).b AS b FROM people",
    "subqueries": "SELECT (SELECT max(o.id) FROM crm.orders o WHERE o.person = p.id) AS m FROM"
    " people p"
    " WHERE EXISTS (SELECT FROM pairs WHERE pairs.id = p.id) AND p.id > ALL (SELECT other FROM"
    " pairs)"
    " AND p.id IN (SELECT id FROM pairs) AND (p.id, 1) NOT IN (SELECT id, other FROM pairs)",
    "whole_row": "SELECT p, p.id, (p).name AS n FROM people p",
    "whole_row_count": "SELECT count(p) AS n, count(p.*) AS m FROM people AS p",
    "stars": "SELECT p.*, o.* FROM (SELECT id AS pid, name FROM people) p, crm.orders o",
    "odd_names": 'SELECT "Odd one" AS "select", id AS "a.b", born AS "Ä ""b" FROM people AS "p p"',
    "unnamed": "SELECT 1, now(), count(*) FROM people GROUP BY 2",
    "current": "SELECT current_user AS a, current_date AS b, localtimestamp(2) AS c, session_user"
    " AS d",
    "regclass": "SELECT 'people'::regclass AS r, 'mood'::regtype AS t, tableoid::regclass AS o"
    " FROM people",
    "xmin": "SELECT ctid AS c, xmin AS x FROM people",
    "locked": "SELECT id FROM people WHERE id IN (SELECT id FROM pairs FOR UPDATE)",
    "operators": "SELECT id OPERATOR(pg_catalog.+) 1 AS a, @ id AS b, |/ 4.0 AS c, id % 2 = 0 AS"
    " d FROM people",
    "comments": "SELECT /* one /* two */ */ id -- three\n FROM people -- four",
}


DIFFERENT = {
    "constant": ("SELECT 1 AS a", "SELECT 2 AS a"),
    "constant_type": (
        "SELECT count(*) AS n WHERE 1 < 2",
        "SELECT count(*) AS n WHERE 1 < 2::bigint",
    ),
    "text": ("SELECT id FROM people WHERE name = 'a'", "SELECT id FROM people WHERE name = 'A'"),
    "operator": ("SELECT id FROM people WHERE id > 1", "SELECT id FROM people WHERE id >= 1"),
    "junction": (
        "SELECT id FROM people WHERE id > 1 AND name = 'a' OR short = 'b'",
        "SELECT id FROM people WHERE id > 1 AND (name = 'a' OR short = 'b')",
    ),
    "join": (
        "SELECT p.id FROM people p LEFT JOIN pairs q USING (id)",
        "SELECT p.id FROM people p JOIN pairs q USING (id)",
    ),
    "join_side": (
        "SELECT p.id FROM pairs p JOIN pairs q ON p.id = q.other",
        "SELECT p.id FROM pairs p JOIN pairs q ON q.id = p.other",
    ),
    "self_join": (
        "SELECT a.id FROM pairs a, pairs b WHERE a.other > 1",
        "SELECT a.id FROM pairs a, pairs b WHERE b.other > 1",
    ),
    "table": ("SELECT id FROM people", "SELECT id FROM pairs"),
    "schema": ("SELECT id FROM pairs", "SELECT id FROM crm.pairs"),
    "function": ("SELECT crm.twice(id) AS n FROM pairs", "SELECT twice(id) AS n FROM pairs"),
    "argument": (
        "SELECT crm.twice(id, 2) AS n FROM pairs",
        "SELECT crm.twice(id, 3) AS n FROM pairs",
    ),
    "aggregate": ("SELECT min(id) AS n FROM people", "SELECT max(id) AS n FROM people"),
    "distinct": ("SELECT DISTINCT id FROM people", "SELECT id FROM people"),
    "distinct_on": (
        "SELECT DISTINCT ON (name) id FROM people ORDER BY name, id",
        "SELECT DISTINCT ON (name) id FROM people ORDER BY name, id DESC",
    ),
    "aggregated_distinct": (
        "SELECT count(DISTINCT name) AS n FROM people",
        "SELECT count(name) AS n FROM people",
    ),
    "filter": (
        "SELECT count(*) FILTER (WHERE id > 1) AS n FROM people",
        "SELECT count(*) FILTER (WHERE id > 2) AS n FROM people",
    ),
    "frame": (
        "SELECT sum(id) OVER (ORDER BY id ROWS 1 PRECEDING) AS n FROM people",
        "SELECT sum(id) OVER (ORDER BY id ROWS 2 PRECEDING) AS n FROM people",
    ),
    "partition": (
        "SELECT rank() OVER (ORDER BY name) AS n FROM people",
        "SELECT rank() OVER (PARTITION BY name) AS n FROM people",
    ),
    "grouping": (
        "SELECT count(*) AS n FROM people GROUP BY ROLLUP (id, name)",
        "SELECT count(*) AS n FROM people GROUP BY CUBE (id, name)",
    ),
    "nulls": (
        "SELECT id FROM people ORDER BY name NULLS FIRST",
        "SELECT id FROM people ORDER BY name",
    ),
    "limit": ("SELECT id FROM people LIMIT 1", "SELECT id FROM people LIMIT 1 OFFSET 1"),
    "ties": (
        "SELECT id FROM people ORDER BY id FETCH FIRST 1 ROW ONLY",
        "SELECT id FROM people ORDER BY id FETCH FIRST 1 ROW WITH TIES",
    ),
    "sample": (
        "SELECT id FROM people TABLESAMPLE SYSTEM (1)",
        "SELECT id FROM people TABLESAMPLE SYSTEM (2)",
    ),
    "set": ("SELECT 1 AS a UNION SELECT 1", "SELECT 1 AS a UNION ALL SELECT 1"),
    "set_order": (
        "(SELECT id FROM people EXCEPT SELECT id FROM pairs) UNION SELECT 1",
        "SELECT id FROM people EXCEPT (SELECT id FROM pairs UNION SELECT 1)",
    ),
    "collation": (
        'SELECT id FROM people ORDER BY name COLLATE "C"',
        'SELECT id FROM people ORDER BY name COLLATE "POSIX"',
    ),
    "interval": ("SELECT interval '1 month' AS i", "SELECT interval '30 days' AS i"),
    "case": (
        "SELECT CASE WHEN id > 1 THEN 1 ELSE 0 END AS n FROM people",
        "SELECT CASE WHEN id > 1 THEN 0 ELSE 1 END AS n FROM people",
    ),
    "correlation": (
        "SELECT (SELECT max(q.other) FROM pairs q WHERE q.id = p.id) AS m FROM pairs p",
        "SELECT (SELECT max(q.other) FROM pairs q WHERE q.id = q.id) AS m FROM pairs p",
    ),
    "materialized": (
        "WITH c AS MATERIALIZED (SELECT 1 AS id) SELECT id FROM c",
        "WITH c AS NOT MATERIALIZED (SELECT 1 AS id) SELECT id FROM c",
    ),
    "json_name": (
        "SELECT row_to_json(s) AS j FROM (SELECT 1 AS before) AS s",
        "SELECT row_to_json(s) AS j FROM (SELECT 1 AS after) AS s",
    ),
    "whole_row": ("SELECT count(p) AS n FROM people p", "SELECT count(*) AS n FROM people p"),
    "lock": (
        "SELECT id FROM people WHERE id IN (SELECT id FROM pairs FOR UPDATE)",
        "SELECT id FROM people WHERE id IN (SELECT id FROM pairs FOR SHARE)",
    ),
    "only": ("SELECT id FROM people", "SELECT id FROM ONLY people"),
    "lateral_order": (
        "SELECT a.id FROM pairs a, LATERAL (SELECT id FROM pairs b WHERE b.id = a.id LIMIT 1) l",
        "SELECT a.id FROM pairs a, LATERAL (SELECT id FROM pairs b WHERE b.id = a.other LIMIT 1) l",
    ),
}


def printed(workbench: Workbench, path: str) -> dict[str, str]:
    """The queries of the views that stand, as PostgreSQL prints them under a search_path."""
    with workbench.connection.transaction():
        workbench.execute(f"SET LOCAL search_path = {path}")
        return dict(
            workbench.execute(
                "SELECT relname::text, pg_get_viewdef(oid) FROM pg_class"
                " WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace"
            )
        )


def configure(workbench: Workbench, queries: dict[str, str]) -> None:
    for name, query in queries.items():
        workbench.define(name, query, PLAIN)


def drifts(workbench: Workbench) -> dict[str, str]:
    return {drift.view: drift.message for drift in workbench.plan().drift}


def test_what_was_applied_is_no_drift_and_nor_is_a_copy_from_a_dump(workbench: Workbench) -> None:
    workbench.execute(_TABLES)
    configure(workbench, QUERIES)
    workbench.apply_well()

    short, whole = printed(workbench, "public"), printed(workbench, "pg_catalog")
    assert short.keys() == QUERIES.keys()
    configure(workbench, whole)
    assert drifts(workbench) == {}, "the configuration has what PostgreSQL printed"

    for name, query in whole.items():
        workbench.execute(f'DROP VIEW "{name}"; CREATE VIEW "{name}" AS {query}')
    configure(workbench, short)
    assert drifts(workbench) == {}, "both have"
    configure(workbench, QUERIES)
    assert drifts(workbench) == {}, "the catalog has what PostgreSQL printed"


def test_a_query_that_means_something_else_is_drift(workbench: Workbench) -> None:
    workbench.execute(
        _TABLES + "CREATE TABLE crm.pairs (LIKE pairs); CREATE FUNCTION twice(n int) RETURNS int"
        " LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1'"
    )
    for name, (before, _) in DIFFERENT.items():
        workbench.execute(f'CREATE VIEW "{name}" AS {before}')
    configure(workbench, {name: after for name, (_, after) in DIFFERENT.items()})

    assert drifts(workbench).keys() == DIFFERENT.keys()

    workbench.apply_well()
    assert drifts(workbench) == {}
