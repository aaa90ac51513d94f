-- name: spell_out
-- description: Until the transaction ends, have PostgreSQL write schemas before names.
-- Temporary relations are types, too: where pg_temp is not named it comes first.
SET LOCAL search_path = pg_catalog, pg_temp

-- name: columns
-- description: What kind of relation has this name, and its columns, in order.
SELECT
    c.relkind::text AS kind,
    coalesce(
        (
            SELECT jsonb_agg(
                jsonb_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
                ORDER BY a.attnum
            )
            FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ),
        '[]'
    ) AS columns
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s

-- name: known_type
-- description: The type of this name, and null where there is none; an error where it can be no name.
SELECT pg_catalog.to_regtype(%(type)s)::oid AS oid

-- name: spell_type
-- description: A type in PostgreSQL's words, with its schema before it where pg_catalog is not.
SELECT pg_catalog.format_type(%(oid)s, %(modifier)s) AS spelled
