-- name: counted
-- description: What PostgreSQL has counted of each materialized view, before anything else is read.
-- A transaction is counted after it is committed: what is read next knows of all that is counted.
SELECT
    w.view,
    c.oid AS relation,
    pg_catalog.pg_stat_get_tuples_inserted(c.oid)
        + pg_catalog.pg_stat_get_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_tuples_deleted(c.oid) AS rows_written
FROM unnest(%(views)s::text[], %(schemas)s::text[], %(names)s::text[])
    AS w (view, schema_name, relation_name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema_name
JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = n.oid AND c.relname = w.relation_name AND c.relkind = 'm'

-- name: traces
-- description: What the last known refresh of each view left behind, and what is there now.
-- Rows that a refresh wrote and rolled back are counted, too, soon after it ended: until a minute
-- after such an end nobody can tell them from somebody else's. A success that began later than that
-- has taken them into account.
SELECT
    s.view,
    s.run,
    coalesce(o.storage, s.storage) AS known_storage,
    coalesce(o.rows_written, s.rows_written) AS known_rows_written,
    c.relfilenode AS storage,
    w.rows_written,
    EXISTS (
        SELECT
        FROM (
            SELECT r.outcome, r.strategy, r.failure, r.finished_at
            FROM refresher.run AS r
            WHERE r.view = s.view
            ORDER BY r.id DESC
            LIMIT 20
        ) AS newest
        WHERE newest.outcome IS NULL
            OR newest.outcome IN ('failed', 'cancelled')
            AND (newest.strategy = 'concurrent' OR newest.failure = 'lost')
            AND newest.finished_at > s.as_of - interval '1 minute'
    ) AS rolled_back
FROM unnest(%(views)s::text[], %(relations)s::oid[], %(rows_written)s::bigint[])
    AS w (view, relation, rows_written)
JOIN refresher.contents AS s ON s.view = w.view AND s.relation = w.relation
JOIN pg_catalog.pg_class AS c ON c.oid = w.relation
LEFT JOIN refresher.outside AS o ON o.view = s.view AND o.run = s.run
-- Another server has other counters.
WHERE s.rows_written IS NOT NULL AND s.storage IS NOT NULL AND s.distrust IS NULL

-- name: record_outside
-- description: Remember a refresh that was somebody else's; of several who saw it, one does.
INSERT INTO refresher.outside AS o (view, run, storage, rows_written)
VALUES (%(view)s, %(run)s, %(storage)s, %(rows_written)s)
ON CONFLICT (view) DO UPDATE SET
    run = excluded.run,
    storage = excluded.storage,
    rows_written = excluded.rows_written,
    seen_at = clock_timestamp()
WHERE (o.run, o.rows_written) < (excluded.run, excluded.rows_written)
RETURNING view
