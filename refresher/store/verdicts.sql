-- name: judged
-- description: When each of some plain views was judged last, if it ever was, and the time now.
SELECT w.view, max(v.checked_at) AS judged_at, clock_timestamp() AS now
FROM unnest(%(views)s::text[]) AS w (view)
LEFT JOIN refresher.verdict AS v ON v.view = w.view AND v.run IS NULL
GROUP BY w.view

-- name: take_turn
-- description: Until the transaction ends, nobody else judges this view's checks; false if somebody does.
SELECT pg_try_advisory_xact_lock(hashtextextended(%(view)s, 7210370053)) AS taken

-- name: record_verdicts
-- description: Put a plain view's new verdicts in the place of the old; returns what is news.
-- They are of when its transaction began, before anything was read.
WITH judged AS (
    SELECT *
    FROM unnest(%(checks)s::text[], %(messages)s::text[]) AS j (check_name, message)
), before AS (
    SELECT v.check_name, v.message
    FROM refresher.verdict AS v
    WHERE v.view = %(view)s AND v.run IS NULL
), gone AS (
    DELETE FROM refresher.verdict AS v
    WHERE v.view = %(view)s AND v.check_name <> ALL (%(checks)s::text[])
), written AS (
    INSERT INTO refresher.verdict AS v (view, check_name, message, broken_since, checked_at)
    SELECT
        %(view)s,
        j.check_name,
        j.message,
        CASE WHEN j.message IS NOT NULL THEN transaction_timestamp() END,
        transaction_timestamp()
    FROM judged AS j
    ON CONFLICT (view, check_name) DO UPDATE SET
        message = excluded.message,
        broken_since = CASE
            WHEN excluded.message IS NOT NULL AND v.message IS NOT NULL AND v.run IS NULL
            THEN v.broken_since
            ELSE excluded.broken_since
        END,
        checked_at = excluded.checked_at,
        run = NULL
)
SELECT j.check_name, j.message
FROM judged AS j
LEFT JOIN before AS b ON b.check_name = j.check_name
WHERE j.message IS DISTINCT FROM b.message
ORDER BY j.check_name

-- name: forget_verdicts
-- description: Drop the verdicts of plain views that have no checks any more.
DELETE FROM refresher.verdict WHERE view = ANY (%(views)s) AND run IS NULL

-- name: broken_checks
-- description: The checks of some views that are broken now.
SELECT b.view, b.check_name, b.message, b.broken_since, b.checked_at
FROM refresher.broken_check AS b
WHERE b.view = ANY (%(views)s)
ORDER BY b.view, b.check_name
