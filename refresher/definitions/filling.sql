-- name: open_run
-- description: A view is being filled beside what stands; a crash leaves this as evidence.
INSERT INTO refresher.run (view, due_at, trigger, attempt, worker, queue_wait_seconds)
VALUES (%(view)s, clock_timestamp(), 'populate', 1, %(worker)s, 0)
RETURNING *

-- name: facts
-- description: What is recorded of the contents, read in the snapshot they are computed from.
SELECT
    transaction_timestamp() AS as_of,
    pg_current_snapshot()::text AS watermark,
    (
        SELECT s.rows
        FROM refresher.state AS s
        WHERE s.view = %(view)s AND s.relation = %(standing)s
    ) AS previous_rows,
    EXISTS (
        SELECT FROM refresher.view AS v
        WHERE v.name = %(view)s AND cardinality(v.unmanaged) > 0
    ) AS unmanaged,
    (
        SELECT coalesce(
            jsonb_object_agg(
                wanted.name, jsonb_build_array(s.as_of, s.data_as_of, to_jsonb(s.oldest))
            ),
            '{}'
        )
        FROM unnest(%(upstreams)s::text[]) AS wanted (name)
        LEFT JOIN (
            refresher.view AS v
            JOIN pg_catalog.pg_namespace AS n ON n.nspname = v.schema_name
            JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = v.relation_name
            JOIN refresher.contents AS s ON s.view = v.name AND s.relation = c.oid
        ) ON v.name = wanted.name
    ) AS upstreams
