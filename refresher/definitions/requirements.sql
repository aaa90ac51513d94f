-- name: temporary
-- description: Whether this role may create temporary relations.
SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY') AS allowed

-- name: schemas
-- description: Whether the schemas stand, and whether this role may create relations in them.
SELECT
    w.name,
    n.oid IS NOT NULL AS present,
    coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false) AS may_create
FROM unnest(%(schemas)s::text[]) WITH ORDINALITY AS w (name, position)
LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.name
ORDER BY w.position

-- name: roles
-- description: Whether roles exist, and whether this role can act as them.
SELECT
    w.name,
    r.oid IS NOT NULL AS present,
    coalesce(pg_catalog.pg_has_role(r.oid, 'USAGE'), false) AS is_member
FROM unnest(%(roles)s::text[]) WITH ORDINALITY AS w (name, position)
LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = w.name
ORDER BY w.position

-- name: owners
-- description: Whether owners may create relations in schemas, which a new owner must.
SELECT
    w.role,
    w.schema,
    pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE') AS may_create
FROM unnest(%(roles)s::text[], %(schemas)s::text[]) WITH ORDINALITY
    AS w (role, schema, position)
JOIN pg_catalog.pg_roles AS r ON r.rolname = w.role
JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
ORDER BY w.position
