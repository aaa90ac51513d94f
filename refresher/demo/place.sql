-- name: privileges
-- description: What the demo may create on this server.
SELECT
    rolsuper OR rolcreatedb AS databases,
    rolsuper OR rolcreaterole AS roles
FROM pg_catalog.pg_roles
WHERE rolname = current_user

-- name: standing
-- description: What already has the names the demo needs, and whether an earlier demo left it.
SELECT
    'database' AS kind,
    d.datname AS name,
    shobj_description(d.oid, 'pg_database') IS NOT DISTINCT FROM %(mark)s AS ours,
    EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.datid = d.oid) AS in_use
FROM pg_catalog.pg_database AS d
WHERE d.datname = %(database)s
UNION ALL
SELECT
    'role',
    r.rolname,
    shobj_description(r.oid, 'pg_authid') IS NOT DISTINCT FROM %(mark)s,
    EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.usesysid = r.oid)
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = ANY (%(roles)s)

-- name: begin_alone
-- description: The transaction that holds the lock: idle for as long as somebody watches the demo.
BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0

-- name: lock_others_out
-- description: Whether this is the only demo that took the lock; it is held from here on.
SELECT pg_try_advisory_xact_lock(hashtextextended('refresher demo', 0)) AS alone

-- name: rollback
-- description: Give the lock back.
ROLLBACK
