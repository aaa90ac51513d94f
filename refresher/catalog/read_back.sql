-- name: read_back
-- description: Which of some columns a query reads, also through plain views and filled columns.
-- A row as a whole (row_to_json(t)) leaves no trace of its columns in pg_depend, once a column of the
-- table is named beside it; its Var has the number 0. By experiment on 14 and 18.
WITH RECURSIVE rule AS NOT MATERIALIZED (
    SELECT
        r.ev_class AS reader,
        d.refobjid AS oid,
        d.refobjsubid AS number,
        r.ev_action::text LIKE '%%:varattno 0 %%' AS whole
    FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid <> r.ev_class
    WHERE r.ev_type = '1'
), filled AS (
    SELECT a.attrelid AS oid, a.attnum AS number, f.query
    FROM unnest(%(filled)s::oid[], %(filled_columns)s::text[], %(queries)s::oid[])
        AS f (oid, name, query)
    JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = f.oid AND a.attname = f.name AND NOT a.attisdropped
), reads AS (
    SELECT rule.oid, rule.number, rule.whole FROM rule WHERE rule.reader = %(query)s
    UNION
    SELECT rule.oid, rule.number, rule.whole
    FROM reads
    CROSS JOIN LATERAL (
        SELECT c.oid
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = reads.oid AND c.relkind = 'v'
        UNION
        SELECT filled.query
        FROM filled
        WHERE filled.oid = reads.oid AND (reads.whole OR filled.number = reads.number)
    ) AS next (reader)
    JOIN rule ON rule.reader = next.reader
)
SELECT a.attname::text AS name
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = %(table)s AND a.attname = ANY (%(columns)s::text[]) AND NOT a.attisdropped
    AND EXISTS (
        SELECT FROM reads
        WHERE reads.oid = a.attrelid AND (reads.whole OR reads.number = a.attnum)
    )
ORDER BY array_position(%(columns)s::text[], a.attname::text)
