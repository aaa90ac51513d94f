-- name: running
-- description: Whether somebody holds the view's fence.
SELECT EXISTS (
    SELECT FROM refresher.fence AS f
    JOIN pg_catalog.pg_locks AS l
        ON l.locktype = 'transactionid' AND l.transactionid = f.xmax
        AND l.mode = 'ExclusiveLock' AND l.granted
    WHERE f.view = %(view)s
) OR EXISTS (
    SELECT FROM refresher.filling AS i WHERE i.view = %(view)s
) AS running

-- name: joined
-- description: The newest success that ended since somebody asked.
SELECT *
FROM refresher.run
WHERE view = %(view)s AND outcome IN ('succeeded', 'unchanged') AND finished_at >= %(since)s
ORDER BY id DESC
LIMIT 1

-- name: clock
-- description: The one clock.
SELECT clock_timestamp() AS now
