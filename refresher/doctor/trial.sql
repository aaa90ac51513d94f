-- name: begin_trying
-- description: Let this transaction create something, for as long as it lasts.
SET LOCAL transaction_read_only = off

-- name: tried
-- description: The temporary views of this session.
SELECT c.oid, c.relname::text AS name
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() AND c.relkind = 'v'

-- name: closed_schema
-- description: The schema that a message names and that this role may not use.
SELECT n.nspname::text AS name
FROM pg_catalog.pg_namespace AS n
WHERE NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    AND pg_catalog.strpos(%(message)s, n.nspname::text) > 0
ORDER BY length(n.nspname) DESC
LIMIT 1
