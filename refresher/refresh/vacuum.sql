-- name: facts
-- description: What is counted in the relations of some views that stand and are filled.
SELECT
    w.view,
    c.oid,
    pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
    coalesce(s.rows, pg_catalog.pg_stat_get_live_tuples(c.oid)) AS rows,
    pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead_rows,
    pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS modified,
    clock_timestamp() - greatest(
        pg_catalog.pg_stat_get_last_vacuum_time(c.oid),
        pg_catalog.pg_stat_get_last_autovacuum_time(c.oid)
    ) AS since_vacuum,
    clock_timestamp() - greatest(
        pg_catalog.pg_stat_get_last_analyze_time(c.oid),
        pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)
    ) AS since_analyze
FROM unnest(%(views)s::text[], %(schemas)s::text[], %(names)s::text[]) AS w (view, schema, name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('m', 'r') AND c.relispopulated
LEFT JOIN refresher.state AS s ON s.view = w.view AND s.relation = c.oid

-- name: permitted
-- description: Those of some relations that this role may vacuum: its own, and its database's.
SELECT c.oid
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_database AS d ON d.datname = current_database()
WHERE c.oid = ANY (%(oids)s::oid[])
    AND (pg_catalog.pg_has_role(c.relowner, 'USAGE') OR pg_catalog.pg_has_role(d.datdba, 'USAGE'))

-- name: permitted
-- description: Those of some relations that this role may vacuum.
-- from: 17
SELECT c.oid
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_database AS d ON d.datname = current_database()
WHERE c.oid = ANY (%(oids)s::oid[])
    AND (
        pg_catalog.has_table_privilege(c.oid, 'MAINTAIN')
        OR pg_catalog.pg_has_role(d.datdba, 'USAGE')
    )

-- name: awaited
-- description: Whether somebody waits for a lock on a relation.
SELECT EXISTS (
    SELECT
    FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_database AS d ON d.oid = l.database
    WHERE l.locktype = 'relation' AND l.relation = %(oid)s AND NOT l.granted
        AND d.datname = current_database()
) AS awaited
