-- name: defaults
-- description: What columns hold where the query has no row, unless that is null.
SELECT a.attname::text AS name, value.expression AS default
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = c.oid AND a.attname = ANY (%(columns)s::text[]) AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
-- A domain has a default for columns that have none.
CROSS JOIN coalesce(
    pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.pg_get_expr(y.typdefaultbin, 0)
) AS value (expression)
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND value.expression IS NOT NULL
ORDER BY a.attnum

-- name: not_returned
-- description: Which of some columns a view does not have.
SELECT wanted.name
FROM pg_catalog.unnest(%(names)s::text[]) WITH ORDINALITY AS wanted (name, place)
WHERE NOT EXISTS (
    SELECT
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = %(query)s::pg_catalog.regclass AND a.attname = wanted.name
)
ORDER BY wanted.place
