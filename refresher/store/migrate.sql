-- name: lock_migrations
-- description: One process migrates at a time; the key is arbitrary but fixed for ever.
SELECT pg_advisory_xact_lock(7210370051)

-- name: create_store
-- description: Create the schema and the table that says which migrations it has seen.
CREATE SCHEMA IF NOT EXISTS refresher;
CREATE TABLE IF NOT EXISTS refresher.migration (
    version int PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

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
