-- name: lock_migrations
-- description: One process migrates at a time; the key is arbitrary but fixed for ever.
SELECT pg_advisory_xact_lock(7210370051)

-- name: schema_exists
-- description: Whether the schema stands; CREATE SCHEMA IF NOT EXISTS asks for CREATE all the same.
SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'refresher') AS present

-- name: create_schema
-- description: Create the schema.
CREATE SCHEMA refresher

-- name: objects
-- description: The schema and everything in it that privileges can be given on.
SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'refresher'
UNION ALL
SELECT c.oid
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'refresher' AND c.relkind IN ('r', 'v', 'S')

-- name: strangers
-- description: Who but its owner may do something with objects other than these.
SELECT DISTINCT
    o.kind,
    o.name,
    CASE a.grantee WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END AS role
FROM (
    SELECT n.oid, 'schema' AS kind, NULL AS name, n.nspowner AS owner, n.nspacl AS acl
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname = 'refresher'
    UNION ALL
    SELECT
        c.oid,
        CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END,
        c.relname::text,
        c.relowner,
        c.relacl
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'refresher' AND c.relkind IN ('r', 'v', 'S')
) AS o
CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) AS a
WHERE o.oid <> ALL (%(known)s::oid[]) AND a.grantee <> o.owner

-- name: store_exists
-- description: Whether the store stands; works without any privilege on it.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'refresher' AND c.relname = 'migration'
) AS present

-- name: store_version
-- description: The newest migration the store has seen.
SELECT coalesce(max(version), 0) AS version FROM refresher.migration

-- name: record_migration
-- description: Remember that a migration was run.
INSERT INTO refresher.migration (version, name) VALUES (%(version)s, %(name)s)
