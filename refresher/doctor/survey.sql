-- name: roles
-- description: Which of these roles there are, and which are superusers.
SELECT r.rolname::text AS name, r.rolsuper AS superuser
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = ANY (%(roles)s)

-- name: schemas
-- description: Who owns these schemas; null for one that does not stand.
SELECT w.name, pg_catalog.pg_get_userbyid(n.nspowner)::text AS owner
FROM unnest(%(schemas)s::text[]) AS w (name)
LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.name

-- name: store_relations
-- description: The store's tables and views.
SELECT c.relname::text AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'refresher' AND c.relkind IN ('r', 'v')
ORDER BY c.relname

-- name: direct_reads
-- description: What the queries of some views read, as they name it.
SELECT DISTINCT
    r.ev_class AS view,
    n.nspname::text AS schema,
    c.relname::text AS name,
    pg_catalog.pg_get_userbyid(c.relowner)::text AS owner
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.refobjid <> r.ev_class
JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'f', 'm', 'v')
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE r.ev_class = ANY (%(oids)s)
    AND r.ev_type = '1'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.oid <> pg_catalog.pg_my_temp_schema()
