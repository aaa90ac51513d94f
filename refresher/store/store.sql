-- name: register_views
-- description: What a configuration says of its views; unchanged rows are not written.
-- What is left to others is made known only where nobody has done so.
WITH wanted AS (
    SELECT *
    FROM unnest(
        %(views)s::text[], %(schemas)s::text[], %(names)s::text[], %(kinds)s::text[],
        %(target_lags)s::interval[], %(max_staleness)s::interval[], %(left)s::boolean[]
    ) AS w (name, schema_name, relation_name, kind, target_lag, max_staleness, left_to_others)
    JOIN jsonb_to_recordset(%(places)s::jsonb)
        AS g (name text, upstreams text[], unmanaged text[]) USING (name)
), fenced AS (
    -- ON CONFLICT waits for whoever is changing the row: a fence that is there is not even tried.
    INSERT INTO refresher.fence (view)
    SELECT name FROM wanted
    WHERE NOT EXISTS (SELECT FROM refresher.fence AS f WHERE f.view = wanted.name)
    ORDER BY name
    ON CONFLICT DO NOTHING
)
INSERT INTO refresher.view AS v (
    name, schema_name, relation_name, kind, target_lag, max_staleness, upstreams, unmanaged
)
SELECT name, schema_name, relation_name, kind, target_lag, max_staleness, upstreams, unmanaged
FROM wanted
WHERE NOT (left_to_others AND EXISTS (SELECT FROM refresher.view AS k WHERE k.name = wanted.name))
ORDER BY name
ON CONFLICT (name) DO UPDATE SET
    schema_name = excluded.schema_name,
    relation_name = excluded.relation_name,
    kind = excluded.kind,
    target_lag = excluded.target_lag,
    max_staleness = excluded.max_staleness,
    upstreams = excluded.upstreams,
    unmanaged = excluded.unmanaged,
    registered_at = excluded.registered_at
WHERE (
        v.schema_name, v.relation_name, v.kind, v.target_lag, v.max_staleness, v.upstreams,
        v.unmanaged
    ) IS DISTINCT FROM (
        excluded.schema_name, excluded.relation_name, excluded.kind, excluded.target_lag,
        excluded.max_staleness, excluded.upstreams, excluded.unmanaged
    )

-- name: add_slots
-- description: Make sure there are as many slots as refreshes may run at once.
INSERT INTO refresher.slot (number)
SELECT number FROM generate_series(1, %(max_parallel)s) AS number
ON CONFLICT DO NOTHING

-- name: forget_views
-- description: Drop the registration of views that no process has had in its configuration lately.
-- Nobody estimates how many views a process has: an anti-join would compare each with each.
WITH forgotten AS (
    DELETE FROM refresher.view AS v
    WHERE v.name NOT IN (
        SELECT known.name
        FROM refresher.worker AS w
        CROSS JOIN unnest(w.views) AS known (name)
        WHERE w.seen_at > clock_timestamp() - %(forgotten_after)s::interval
    )
    RETURNING name
), without_drift AS (
    DELETE FROM refresher.drift USING forgotten WHERE drift.view = forgotten.name
), without_look AS (
    DELETE FROM refresher.look USING forgotten WHERE look.view = forgotten.name
), without_verdicts AS (
    DELETE FROM refresher.verdict USING forgotten WHERE verdict.view = forgotten.name
)
DELETE FROM refresher.outside USING forgotten WHERE outside.view = forgotten.name

-- name: go_on
-- description: A process that is known lives; its views may be many, and stay as they are.
-- Returns nothing if it is not known, else itself and every living daemon with a configuration.
WITH known AS (
    UPDATE refresher.worker SET seen_at = clock_timestamp() WHERE id = %(worker)s RETURNING id
)
SELECT w.id AS worker, w.configuration, w.configured_at
FROM refresher.worker AS w
WHERE EXISTS (SELECT FROM known)
    AND (
        w.id = %(worker)s
        OR (
            w.kind = 'daemon' AND w.configured_at IS NOT NULL
            AND w.seen_at > clock_timestamp() - %(dead_after)s::interval
        )
    )

-- name: configured
-- description: Every living daemon's configuration.
SELECT w.id AS worker, w.configuration, w.configured_at
FROM refresher.worker AS w
WHERE w.kind = 'daemon' AND w.configured_at IS NOT NULL
    AND w.seen_at > clock_timestamp() - %(dead_after)s::interval

-- name: views_of_workers
-- description: The views that any of some processes has in its configuration.
SELECT DISTINCT v.view
FROM refresher.worker AS w
CROSS JOIN unnest(w.views) AS v (view)
WHERE w.id = ANY (%(workers)s)

-- name: beat
-- description: This process lives.
INSERT INTO refresher.worker AS w (id, kind, views, configuration, configured_at)
VALUES (
    %(worker)s,
    %(kind)s,
    %(views)s,
    %(configuration)s,
    CASE
        WHEN %(configuration)s::text IS NOT NULL
        THEN coalesce(%(configured_at)s::timestamptz, clock_timestamp())
    END
)
ON CONFLICT (id) DO UPDATE SET
    seen_at = clock_timestamp(),
    views = excluded.views,
    configuration = excluded.configuration,
    configured_at = excluded.configured_at
RETURNING configured_at

-- name: leave
-- description: This process ends.
DELETE FROM refresher.worker WHERE id = %(worker)s

-- name: bury_workers
-- description: Forget processes that have been gone for long.
DELETE FROM refresher.worker WHERE seen_at < clock_timestamp() - interval '1 hour'

-- name: replicas
-- description: How many daemons live.
SELECT count(*) AS replicas
FROM refresher.worker
WHERE kind = 'daemon' AND seen_at > clock_timestamp() - %(dead_after)s::interval

-- name: lost_runs
-- description: By view, open runs whose process is dead, or is this one and not at it any more.
-- A run that began just now may not be known to be in flight yet, nor its process to live.
SELECT r.view, array_agg(r.id) AS runs
FROM refresher.run AS r
WHERE r.outcome IS NULL
    AND r.started_at < clock_timestamp() - %(dead_after)s::interval
    AND CASE
        WHEN r.worker = %(worker)s THEN r.id <> ALL (%(in_flight)s::bigint[])
        ELSE NOT EXISTS (
            SELECT FROM refresher.worker AS w
            WHERE w.id = r.worker
                AND w.seen_at > clock_timestamp() - %(dead_after)s::interval
        )
    END
GROUP BY r.view

-- name: lock_fence
-- description: The right to speak for a view, or 55P03 at once.
SELECT view FROM refresher.fence WHERE view = %(view)s FOR NO KEY UPDATE NOWAIT

-- name: close_lost
-- description: Under the fence nobody refreshes, so a dead process's open run has come to nothing.
WITH ended AS (
    UPDATE refresher.run AS r
    SET outcome = 'failed',
        failure = 'lost',
        error = 'the process that ran it is gone',
        finished_at = clock_timestamp(),
        duration_seconds = extract(epoch FROM clock_timestamp() - r.started_at)
    WHERE r.id = ANY (%(runs)s) AND r.outcome IS NULL
    RETURNING *
), counted AS (
    INSERT INTO refresher.tally AS t (view, metric, label, value)
    SELECT ended.view, c.metric, c.label, count(*)
    FROM ended
    CROSS JOIN (VALUES ('runs', '/failed'), ('failures', 'lost')) AS c (metric, label)
    GROUP BY ended.view, c.metric, c.label
    ON CONFLICT (view, metric, label) DO UPDATE SET value = t.value + excluded.value
)
SELECT * FROM ended

-- name: pause
-- description: Hold a view's schedule.
INSERT INTO refresher.pause AS p (view, until, paused_by)
VALUES (%(view)s, clock_timestamp() + %(duration)s, %(paused_by)s)
ON CONFLICT (view) DO UPDATE SET
    until = excluded.until, paused_at = excluded.paused_at, paused_by = excluded.paused_by
RETURNING until

-- name: resume
-- description: Let a view's schedule go on.
DELETE FROM refresher.pause WHERE view = %(view)s AND until > clock_timestamp() RETURNING view

-- name: request
-- description: Ask whichever daemon is free to refresh a view.
INSERT INTO refresher.request AS r (view, requested_at, strategy, requested_by)
VALUES (%(view)s, clock_timestamp(), %(strategy)s, %(requested_by)s)
ON CONFLICT (view) DO UPDATE SET
    requested_at = excluded.requested_at,
    strategy = excluded.strategy,
    requested_by = excluded.requested_by
RETURNING requested_at

-- name: served_views
-- description: Those of some views that a living daemon has in its configuration.
SELECT DISTINCT v.view
FROM refresher.worker AS w
CROSS JOIN unnest(w.views) AS v (view)
WHERE w.kind = 'daemon' AND w.seen_at > clock_timestamp() - %(dead_after)s::interval
    AND v.view = ANY (%(views)s)

-- name: count_corrected
-- description: Count rows that were found to differ from the query of their view, and put right.
INSERT INTO refresher.tally AS t (view, metric, label, value)
VALUES (%(view)s, 'corrected', '', %(rows)s)
ON CONFLICT (view, metric, label) DO UPDATE SET value = t.value + excluded.value

-- name: history
-- description: A view's newest runs first.
SELECT * FROM refresher.run WHERE view = %(view)s ORDER BY id DESC LIMIT %(limit)s

-- name: median_seconds
-- description: How long a view's last successes took, the middle one of 20.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY r.duration_seconds) AS seconds
FROM (
    SELECT duration_seconds
    FROM refresher.run
    WHERE view = %(view)s AND outcome = 'succeeded'
    ORDER BY id DESC
    LIMIT 20
) AS r

-- name: runs_are_kept
-- description: Whether there is a store that remembers runs, and we may look.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'refresher' AND c.relname = 'run'
        AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
) AS present

-- name: usual_durations
-- description: The 95th percentile of how long the last 20 successes of some views took.
SELECT w.view, percentile_disc(0.95) WITHIN GROUP (ORDER BY r.duration_seconds) AS seconds
FROM unnest(%(views)s::text[]) AS w (view)
CROSS JOIN LATERAL (
    SELECT run.duration_seconds
    FROM refresher.run
    WHERE run.view = w.view AND run.outcome = 'succeeded'
    ORDER BY run.id DESC
    LIMIT 20
) AS r
GROUP BY w.view

-- name: purge_runs
-- description: Of the next five views by name, keep 30 days of runs, and 10,000; states and tallies
-- outlive them. Returns after whom to go on: after the same ones while there may be more of theirs
-- to purge, null at the end.
-- The newest run of a view stays, however old. Numbers and times ascend together, so if nothing is
-- to go of the hundred oldest, nothing is of the others. An array is looked up in the order of its
-- numbers, by everybody: two who purge at once can't wait for each other in turn.
WITH next AS (
    SELECT f.view FROM refresher.fence AS f WHERE f.view > %(after)s ORDER BY f.view LIMIT 5
), purged AS (
    DELETE FROM refresher.run AS r
    WHERE r.id = ANY (ARRAY(
        SELECT old.id
        FROM next
        CROSS JOIN LATERAL (
            SELECT o.id, o.started_at, o.outcome
            FROM refresher.run AS o
            WHERE o.view = next.view
            ORDER BY o.id
            LIMIT 100
        ) AS old
        LEFT JOIN LATERAL (
            SELECT e.id
            FROM refresher.run AS e
            WHERE e.view = next.view
            ORDER BY e.id DESC
            OFFSET 10000 LIMIT 1
        ) AS excess ON true
        WHERE old.outcome IS NOT NULL
            AND (
                old.id <= excess.id
                OR old.started_at < statement_timestamp() - interval '30 days'
                AND old.id < (SELECT max(n.id) FROM refresher.run AS n WHERE n.view = next.view)
            )
    ))
    RETURNING r.id
)
SELECT
    CASE
        WHEN EXISTS (SELECT FROM purged) THEN %(after)s
        ELSE (SELECT max(next.view) FROM next)
    END AS after

-- name: forget_requests
-- description: Forget what was asked for and done: once nothing tells any more how old contents are,
-- as after a failover, it would be asked for again, past pauses and throttles.
DELETE FROM refresher.request AS q
USING refresher.contents AS s
WHERE s.view = q.view AND s.as_of >= q.requested_at

-- name: clock
-- description: The one clock.
SELECT clock_timestamp() AS now

-- name: states
-- description: Everything that decides whether a view is due, and how fresh it is.
WITH wanted AS (
    SELECT *
    FROM unnest(%(views)s::text[], %(schemas)s::text[], %(names)s::text[])
        AS w (view, schema_name, relation_name)
), held AS (
    SELECT f.view
    FROM wanted AS w
    JOIN refresher.fence AS f ON f.view = w.view
    JOIN pg_catalog.pg_locks AS l
        ON l.locktype = 'transactionid' AND l.transactionid = f.xmax
        AND l.mode = 'ExclusiveLock' AND l.granted
)
SELECT
    w.view,
    c.oid AS relation,
    c.relkind::text AS relation_kind,
    -- PostgreSQL knows it of materialized views only.
    CASE c.relkind WHEN 'm' THEN c.relispopulated ELSE s.view IS NOT NULL END AS populated,
    pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
    s.as_of,
    s.data_as_of,
    s.distrust,
    coalesce(s.oldest, '{}') AS oldest,
    coalesce(s.upstreams_seen, '{}') AS upstreams_seen,
    s.run AS success_run,
    s.rows,
    s.last_change_at,
    i.view IS NOT NULL OR w.view IN (SELECT held.view FROM held) AS running,
    i.rows_done,
    i.rows_total,
    p.until AS paused_until,
    q.requested_at,
    q.strategy AS requested_strategy
FROM wanted AS w
LEFT JOIN (
    pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
) ON n.nspname = w.schema_name AND c.relname = w.relation_name
LEFT JOIN refresher.contents AS s ON s.view = w.view AND s.relation = c.oid
LEFT JOIN refresher.filling AS i ON i.view = w.view
LEFT JOIN refresher.pause AS p ON p.view = w.view AND p.until > clock_timestamp()
LEFT JOIN refresher.request AS q ON q.view = w.view

-- name: unsuccessful_runs
-- description: Runs of some views since their last success, oldest first, at most 20 a view.
-- Prepared, a * would fail once a newer daemon has added a column to the table.
SELECT
    r.id, r.view, r.due_at, r.trigger, r.strategy, r.reason, r.outcome, r.attempt, r.started_at,
    r.finished_at, r.as_of, r.duration_seconds, r.queue_wait_seconds, r.lock_wait_seconds, r.rows,
    r.bytes, r.rows_inserted, r.rows_updated, r.rows_deleted, r.failure, r.error, r.worker
FROM unnest(%(views)s::text[], %(since)s::bigint[]) AS w (view, since)
CROSS JOIN LATERAL (
    SELECT *
    FROM refresher.run
    WHERE run.view = w.view AND run.id > w.since
    ORDER BY run.id DESC
    LIMIT 20
) AS r
ORDER BY r.id

-- name: last_runs
-- description: The newest run of each view, and how many failed since its last success.
SELECT r.*, f.failures
FROM unnest(%(views)s::text[]) AS w (view)
CROSS JOIN LATERAL (
    SELECT * FROM refresher.run WHERE run.view = w.view ORDER BY run.id DESC LIMIT 1
) AS r
CROSS JOIN LATERAL (
    SELECT count(*) AS failures
    FROM (
        SELECT
        FROM refresher.run
        WHERE run.view = w.view AND run.outcome = 'failed'
            AND run.id > coalesce((SELECT s.run FROM refresher.state AS s WHERE s.view = w.view), 0)
        LIMIT 1000
    ) AS failed
) AS f
