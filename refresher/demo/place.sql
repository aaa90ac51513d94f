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
