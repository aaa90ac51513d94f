-- name: begin_trying
-- description: Let this transaction create something, for as long as it lasts.
SET LOCAL transaction_read_only = off

-- name: tried
-- description: The temporary views of this session.
SELECT c.oid, c.relname::text AS name
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() AND c.relkind = 'v'
