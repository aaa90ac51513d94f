-- name: taken
-- description: Whether something has this name, as a relation or as a type.
SELECT
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname = %(schema)s
    AND (
        EXISTS (
            SELECT FROM pg_catalog.pg_class AS c
            WHERE c.relnamespace = n.oid AND c.relname = %(name)s
        )
        OR EXISTS (
            SELECT FROM pg_catalog.pg_type AS t
            WHERE t.typnamespace = n.oid AND t.typname = %(name)s
        )
    )

-- name: leftovers
-- description: What was built beside and never exchanged, readers before what they read.
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm', 'r')
    AND starts_with(c.relname, %(prefix)s)
    AND starts_with(pg_catalog.obj_description(c.oid, 'pg_class'), %(begin)s)
ORDER BY c.oid DESC
