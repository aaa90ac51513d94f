-- name: last_successes
-- description: The last successful run of each view, while its record is kept.
SELECT run.*
FROM refresher.state AS s
JOIN refresher.run ON run.id = s.run
WHERE s.view = ANY (%(views)s)

-- name: tallies
-- description: Counters, by view.
SELECT view, metric, label, value FROM refresher.tally WHERE view = ANY (%(views)s)

-- name: sizes
-- description: How large the views are, and how many dead rows they carry.
-- Measuring a relation opens it, which would wait behind a plain refresh for as long as that takes:
-- one that is, or is about to be, locked exclusively is not measured.
SELECT
    w.view,
    c.reltuples::bigint AS estimated_rows,
    CASE
        WHEN c.oid NOT IN (
            SELECT l.relation
            FROM pg_catalog.pg_locks AS l
            WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
        ) THEN pg_catalog.pg_total_relation_size(c.oid)
    END AS bytes,
    pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead_rows
FROM unnest(%(views)s::text[], %(oids)s::oid[]) AS w (view, oid)
JOIN pg_catalog.pg_class AS c ON c.oid = w.oid AND c.relkind IN ('m', 'r')

-- name: unmanaged_views
-- description: How many materialized views stand in this database that refresher does not manage.
SELECT count(*) AS unmanaged
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'm'
    AND NOT EXISTS (
        SELECT
        FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema_name, relation_name)
        WHERE w.schema_name = n.nspname AND w.relation_name = c.relname
    )

-- name: begin_reading
-- description: Make the transaction one picture, whatever the role's defaults are.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
