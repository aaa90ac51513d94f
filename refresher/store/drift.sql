-- name: look_overdue
-- description: Whether anybody's view has not been compared for that long, but was before.
SELECT coalesce(min(l.tried_at) < clock_timestamp() - %(every)s::interval, false) AS due
FROM refresher.look AS l

-- name: look_due
-- description: Whether some view has not been compared with its definition for that long.
SELECT EXISTS (
    SELECT
    FROM unnest(%(views)s::text[]) AS w (view)
    LEFT JOIN refresher.look AS l ON l.view = w.view
    WHERE l.tried_at IS NULL OR l.tried_at < clock_timestamp() - %(every)s::interval
) AS due

-- name: record_drift
-- description: What a look found, in place of what was found before; returns what is new and gone.
-- In order, so that of two daemons that look at once one waits for the other.
WITH found AS (
    SELECT * FROM unnest(%(drifting)s::text[], %(aspects)s::text[], %(messages)s::text[])
        AS f (view, aspect, message)
), looked AS (
    INSERT INTO refresher.look (view, tried_at, looked_at)
    SELECT w.view, statement_timestamp(), statement_timestamp()
    FROM unnest(%(views)s::text[]) AS w (view)
    ORDER BY w.view
    ON CONFLICT (view) DO UPDATE SET
        tried_at = excluded.tried_at, looked_at = excluded.looked_at, problem = NULL
), gone AS (
    DELETE FROM refresher.drift AS d
    WHERE d.view = ANY (%(views)s)
        AND NOT EXISTS (SELECT FROM found AS f WHERE f.view = d.view AND f.aspect = d.aspect)
    RETURNING d.view, d.aspect, d.message
), appeared AS (
    INSERT INTO refresher.drift AS d (view, aspect, message)
    SELECT f.view, f.aspect, f.message FROM found AS f ORDER BY f.view, f.aspect
    ON CONFLICT (view, aspect) DO UPDATE SET message = excluded.message
    WHERE d.message <> excluded.message
    RETURNING d.view, d.aspect, d.message
)
SELECT true AS stands, * FROM appeared
UNION ALL
SELECT false AS stands, * FROM gone
ORDER BY stands, view, aspect

-- name: record_problem
-- description: A look came to nothing; returns something if that was not known of some view.
WITH before AS (
    SELECT l.view, l.problem FROM refresher.look AS l WHERE l.view = ANY (%(views)s)
), tried AS (
    INSERT INTO refresher.look (view, tried_at, problem)
    SELECT w.view, statement_timestamp(), %(problem)s
    FROM unnest(%(views)s::text[]) AS w (view)
    ORDER BY w.view
    ON CONFLICT (view) DO UPDATE SET tried_at = excluded.tried_at, problem = excluded.problem
    RETURNING view
)
SELECT tried.view
FROM tried
LEFT JOIN before ON before.view = tried.view
WHERE before.problem IS DISTINCT FROM %(problem)s

-- name: ask_for_look
-- description: Have a daemon look at these views soon, whenever it did last.
UPDATE refresher.look SET tried_at = '-infinity' WHERE view = ANY (%(views)s)

-- name: watched
-- description: What others did to views: a row for each difference, at least one a view.
SELECT
    w.view,
    l.looked_at,
    l.problem,
    o.seen_at AS refreshed_outside_at,
    d.aspect,
    d.message,
    d.found_at
FROM unnest(%(views)s::text[]) AS w (view)
LEFT JOIN refresher.look AS l ON l.view = w.view
LEFT JOIN (
    refresher.outside AS o
    JOIN refresher.state AS s ON s.view = o.view AND s.run = o.run
) ON o.view = w.view
LEFT JOIN refresher.drift AS d ON d.view = w.view
ORDER BY w.view, d.found_at, d.aspect
