-- name: open_run
-- description: Step 1, without locks: still due, fence and a slot free? Then record the attempt.
WITH standing AS (
    SELECT s.*
    FROM refresher.contents AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.relation
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE s.view = %(view)s AND n.nspname = %(schema)s AND c.relname = %(name)s
), held AS MATERIALIZED (
    SELECT l.transactionid
    FROM pg_catalog.pg_locks AS l
    WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
), probe AS (
    SELECT
        clock_timestamp() AS now,
        CASE
            WHEN %(due_at)s > clock_timestamp() THEN 'early'
            WHEN %(trigger)s = 'upstream' AND NOT EXISTS (
                SELECT FROM refresher.contents AS u
                WHERE u.view = ANY (%(upstreams)s::text[])
                    AND u.as_of > coalesce(
                        ((SELECT upstreams_seen FROM standing) ->> u.view)::timestamptz, '-infinity'
                    )
            ) THEN 'discharged'
            WHEN %(trigger)s <> 'upstream'
                AND (SELECT as_of FROM standing) >= %(due_at)s THEN 'discharged'
            WHEN EXISTS (
                SELECT FROM refresher.fence AS f
                WHERE f.view = %(view)s AND f.xmax IN (SELECT held.transactionid FROM held)
            ) OR EXISTS (
                SELECT FROM refresher.filling AS i WHERE i.view = %(view)s
            ) THEN 'fence'
            WHEN NOT EXISTS (
                SELECT FROM refresher.slot AS s
                WHERE s.number <= %(max_parallel)s
                    AND s.xmax NOT IN (SELECT held.transactionid FROM held)
            ) THEN 'slot'
        END AS obstacle
), opened AS (
    INSERT INTO refresher.run (view, due_at, trigger, attempt, worker, queue_wait_seconds)
    SELECT
        %(view)s, %(due_at)s, %(trigger)s, %(attempt)s, %(worker)s,
        greatest(extract(epoch FROM probe.now - %(ready_at)s), 0)
    FROM probe
    WHERE probe.obstacle IS NULL
    RETURNING *
)
SELECT
    probe.obstacle,
    opened.id,
    opened.started_at,
    opened.queue_wait_seconds,
    standing.rows,
    standing.full_seconds,
    standing.concurrent_seconds,
    standing.concurrent_churn,
    standing.merge_seconds,
    standing.merge_churn
FROM probe
LEFT JOIN opened ON true
LEFT JOIN standing ON true

-- name: take_fence
-- description: Steps 3 to 5: a slot and the fence, or 55P03 at once, and what was read under them.
WITH slot AS MATERIALIZED (
    -- One of the places to refresh at, for as long as this transaction lives.
    SELECT number
    FROM refresher.slot
    WHERE number <= %(max_parallel)s AND NOT %(has_slot)s
    ORDER BY number
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
), free AS MATERIALIZED (
    SELECT f.view
    FROM refresher.fence AS f
    WHERE f.view = %(view)s AND (%(has_slot)s OR EXISTS (SELECT FROM slot))
    FOR NO KEY UPDATE OF f NOWAIT
), taken AS (
    UPDATE refresher.fence AS f
    SET run = %(run)s, worker = %(worker)s, taken_at = clock_timestamp()
    FROM free
    WHERE f.view = free.view
    RETURNING f.view
)
SELECT
    %(has_slot)s OR EXISTS (SELECT FROM slot) AS slot,
    taken.view IS NOT NULL AS fence,
    EXISTS (SELECT FROM refresher.filling AS i WHERE i.view = %(view)s) AS filling,
    transaction_timestamp() AS as_of,
    pg_current_snapshot()::text AS watermark,
    (SELECT r.outcome IS NULL FROM refresher.run AS r WHERE r.id = %(run)s) AS open,
    now.oid IS NOT NULL AS stands,
    own.as_of AS previous_as_of,
    own.rows AS previous_rows,
    coalesce(own.upstreams_seen, '{}') AS previous_upstreams_seen,
    EXISTS (
        SELECT FROM refresher.view AS v WHERE v.name = taken.view AND cardinality(v.unmanaged) > 0
    ) AS unmanaged,
    (
        SELECT s.audited_at
        FROM refresher.state AS s
        WHERE s.view = taken.view AND s.relation = now.oid
    ) AS audited_at,
    pg_stat_get_xact_tuples_inserted(%(relation)s) AS inserted,
    pg_stat_get_xact_tuples_updated(%(relation)s) AS updated,
    pg_stat_get_xact_tuples_deleted(%(relation)s) AS deleted,
    pg_stat_get_tuples_inserted(%(relation)s)
        + pg_stat_get_tuples_updated(%(relation)s)
        + pg_stat_get_tuples_deleted(%(relation)s) AS rows_written
FROM (VALUES (1)) AS always
LEFT JOIN taken ON true
LEFT JOIN (
    pg_catalog.pg_class AS now
    JOIN pg_catalog.pg_namespace AS n ON n.oid = now.relnamespace
) ON n.nspname = %(schema)s AND now.relname = %(name)s AND now.oid = %(relation)s
-- Whether it is populated may have changed since it was looked at.
LEFT JOIN refresher.contents AS own ON own.view = taken.view AND own.relation = now.oid

-- name: read_upstreams
-- description: Step 5: the contents that this snapshot reads of its upstreams, and how old they are.
SELECT
    wanted.name,
    s.as_of,
    s.data_as_of,
    coalesce(s.oldest, ARRAY[wanted.name]) AS oldest
FROM unnest(%(upstreams)s::text[]) AS wanted (name)
LEFT JOIN (
    refresher.view AS v
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = v.schema_name
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = v.relation_name
    JOIN refresher.contents AS s ON s.view = v.name AND s.relation = c.oid
) ON v.name = wanted.name

-- name: finish_run
-- description: Step 7: the new state, the run's record, the counters and the notice, as one.
WITH ended AS (
    UPDATE refresher.run
    SET outcome = 'succeeded',
        strategy = %(strategy)s,
        reason = %(reason)s,
        finished_at = clock_timestamp(),
        as_of = %(as_of)s,
        duration_seconds = extract(epoch FROM clock_timestamp() - started_at),
        lock_wait_seconds = %(lock_wait)s,
        rows = %(rows)s,
        bytes = %(bytes)s,
        rows_inserted = %(inserted)s,
        rows_updated = %(updated)s,
        rows_deleted = %(deleted)s
    WHERE id = %(run)s
    RETURNING *
), standing AS (
    INSERT INTO refresher.state AS s (
        view, relation, as_of, data_as_of, watermark, upstreams_seen, run, rows, last_change_at,
        full_seconds, concurrent_seconds, concurrent_churn, merge_seconds, merge_churn, storage,
        rows_written, lineage, oldest, audited_at
    )
    SELECT
        ended.view, %(relation)s, %(as_of)s, %(data_as_of)s, %(watermark)s::pg_snapshot, %(upstreams_seen)s,
        ended.id, %(rows)s, CASE WHEN %(changed)s THEN ended.finished_at END,
        CASE WHEN ended.strategy = 'full' THEN ended.duration_seconds END,
        CASE WHEN ended.strategy = 'concurrent' THEN ended.duration_seconds END,
        CASE WHEN ended.strategy = 'concurrent' THEN %(churn)s::bigint END,
        CASE WHEN ended.strategy IN ('merge', 'columns') THEN ended.duration_seconds END,
        CASE WHEN ended.strategy IN ('merge', 'columns') THEN %(churn)s::bigint END,
        %(storage)s, %(rows_written)s, refresher.lineage(), %(oldest)s,
        CASE WHEN %(audited)s THEN %(as_of)s END
    FROM ended
    ON CONFLICT (view) DO UPDATE SET
        relation = excluded.relation,
        as_of = excluded.as_of,
        data_as_of = excluded.data_as_of,
        watermark = excluded.watermark,
        upstreams_seen = excluded.upstreams_seen,
        run = excluded.run,
        rows = excluded.rows,
        last_change_at = coalesce(excluded.last_change_at, s.last_change_at),
        full_seconds = coalesce(excluded.full_seconds, s.full_seconds),
        concurrent_seconds = coalesce(excluded.concurrent_seconds, s.concurrent_seconds),
        concurrent_churn = coalesce(excluded.concurrent_churn, s.concurrent_churn),
        merge_seconds = coalesce(excluded.merge_seconds, s.merge_seconds),
        merge_churn = coalesce(excluded.merge_churn, s.merge_churn),
        storage = excluded.storage,
        rows_written = excluded.rows_written,
        lineage = excluded.lineage,
        oldest = excluded.oldest,
        audited_at = coalesce(excluded.audited_at, s.audited_at)
), counted AS (
    INSERT INTO refresher.tally AS t (view, metric, label, value)
    SELECT ended.view, c.metric, c.label, c.value
    FROM ended
    CROSS JOIN (
        VALUES
            ('runs', %(strategy)s || '/succeeded', 1),
            ('rows', 'insert', %(inserted)s::bigint),
            ('rows', 'update', %(updated)s::bigint),
            ('rows', 'delete', %(deleted)s::bigint),
            ('misfires', '', %(misfires)s::bigint),
            ('corrected', '', %(corrected)s::bigint)
    ) AS c (metric, label, value)
    WHERE c.value > 0
    ON CONFLICT (view, metric, label) DO UPDATE SET value = t.value + excluded.value
)
SELECT
    -- Each by its name: prepared, a * would fail once a newer daemon has added a column to the table.
    ended.id,
    ended.view,
    ended.due_at,
    ended.trigger,
    ended.strategy,
    ended.reason,
    ended.outcome,
    ended.attempt,
    ended.started_at,
    ended.finished_at,
    ended.as_of,
    ended.duration_seconds,
    ended.queue_wait_seconds,
    ended.lock_wait_seconds,
    ended.rows,
    ended.bytes,
    ended.rows_inserted,
    ended.rows_updated,
    ended.rows_deleted,
    ended.failure,
    ended.error,
    ended.worker,
    -- Past 8,000 bytes it would fail the refresh. The names in it, at most 63 bytes each, become six
    -- times as long at the worst; nothing else in it is of anybody's making.
    pg_notify('refresher', row_to_json(told)::text)::text AS notified
FROM ended
CROSS JOIN LATERAL (
    SELECT
        ended.view,
        %(place)s::text AS relation,
        ended.id AS run,
        ended.trigger,
        ended.strategy,
        ended.outcome,
        ended.as_of,
        %(data_as_of)s::timestamptz AS data_as_of,
        ended.finished_at,
        ended.duration_seconds,
        ended.rows,
        ended.rows_inserted,
        ended.rows_updated,
        ended.rows_deleted
) AS told

-- name: count_at_once
-- description: Rows that a session wrote are counted when it finds time, on PostgreSQL 14.
SELECT

-- name: count_at_once
-- description: Have the rows that this transaction wrote counted when it is committed.
-- from: 15
SELECT pg_stat_force_next_flush()

-- name: end_run
-- description: Record a failure in a transaction of its own; of several who try, one does.
WITH ended AS (
    UPDATE refresher.run
    SET outcome = %(outcome)s,
        strategy = %(strategy)s,
        reason = %(reason)s,
        finished_at = clock_timestamp(),
        duration_seconds = extract(epoch FROM clock_timestamp() - started_at),
        lock_wait_seconds = %(lock_wait)s,
        failure = %(failure)s,
        error = %(error)s
    WHERE id = %(run)s AND outcome IS NULL
    RETURNING *
), counted AS (
    INSERT INTO refresher.tally AS t (view, metric, label, value)
    SELECT ended.view, c.metric, c.label, 1
    FROM ended
    CROSS JOIN (
        VALUES
            ('runs', coalesce(%(strategy)s, '') || '/' || %(outcome)s),
            ('failures', %(failure)s)
    ) AS c (metric, label)
    WHERE c.label IS NOT NULL
    ON CONFLICT (view, metric, label) DO UPDATE SET value = t.value + excluded.value
), mended AS (
    DELETE FROM refresher.verdict AS v
    USING ended
    WHERE v.view = ended.view AND ended.failure = 'check'
        AND v.check_name <> ALL (%(broken)s::text[])
), judged AS (
    INSERT INTO refresher.verdict AS v (
        view, check_name, message, broken_since, checked_at, run
    )
    SELECT ended.view, b.check_name, b.message, ended.finished_at, ended.finished_at, ended.id
    FROM ended
    CROSS JOIN unnest(%(broken)s::text[], %(messages)s::text[]) AS b (check_name, message)
    ON CONFLICT (view, check_name) DO UPDATE SET
        message = excluded.message,
        checked_at = excluded.checked_at,
        run = excluded.run,
        broken_since = CASE
            WHEN v.run > coalesce(
                (SELECT s.run FROM refresher.state AS s WHERE s.view = excluded.view), 0
            ) THEN v.broken_since
            ELSE excluded.broken_since
        END
)
SELECT * FROM ended

-- name: forget_runs
-- description: An attempt that never began leaves no record, unless it was taken for lost and counted.
DELETE FROM refresher.run WHERE id = ANY (%(runs)s) AND outcome IS NULL

-- name: wait_for_fence
-- description: After an ambiguous commit, wait until the transaction that held the fence is decided.
SELECT view FROM refresher.fence WHERE view = %(view)s FOR NO KEY UPDATE

-- name: read_run
-- description: One run.
SELECT * FROM refresher.run WHERE id = %(run)s

-- name: measure
-- description: The new contents, as this transaction sees them before it commits.
SELECT
    (SELECT count(*) FROM {relation}) AS rows,
    pg_total_relation_size({oid}) AS bytes,
    pg_relation_filenode({oid}) AS storage,
    pg_stat_get_xact_tuples_inserted({oid}) AS inserted,
    pg_stat_get_xact_tuples_updated({oid}) AS updated,
    pg_stat_get_xact_tuples_deleted({oid}) AS deleted
