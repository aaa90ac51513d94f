-- name: begin
-- description: A batch sees what others committed, and waits for nobody for long.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {settings}

-- name: wait_for_no_disk
-- description: Its COMMIT gives its locks back at once, and applications hardly wait for them.
SET LOCAL synchronous_commit = off

-- name: hold_fence
-- description: Whether the run is still the one that goes on, or 55P03 at once; renews its claim.
WITH free AS MATERIALIZED (
    SELECT f.view
    FROM refresher.fence AS f
    WHERE f.view = %(view)s AND f.run = %(run)s
    FOR NO KEY UPDATE OF f NOWAIT
)
UPDATE refresher.fence AS f
SET taken_at = clock_timestamp(), rows_done = %(done)s, rows_total = %(total)s
FROM free
WHERE f.view = free.view
    AND EXISTS (SELECT FROM refresher.run AS r WHERE r.id = %(run)s AND r.outcome IS NULL)
RETURNING f.view

-- name: room
-- description: How much room the stage takes: none, once it was emptied.
SELECT pg_catalog.pg_relation_size({stage_name}::pg_catalog.regclass) AS bytes

-- name: next
-- description: The number that the next batch ends with; null after the last one.
SELECT max(s.number) AS last
FROM (
    SELECT number FROM {stage} WHERE number > {after} ORDER BY number LIMIT {batch}
) AS s

-- name: lock
-- description: The rows of a batch that nobody else is writing.
SELECT s.number
FROM {stage} AS s
JOIN {table} AS t ON {match}
WHERE s.number > {after} AND s.number <= {last}
FOR {strength} OF t SKIP LOCKED

-- name: write
-- description: Write the rows that are ours, and strike them off, and those whose row is gone.
-- A statement of its own: its snapshot is younger than the locks, so it sees what was locked.
WITH written AS (
    UPDATE {table} AS t
    SET {assignments}
    FROM {stage} AS s
    WHERE s.number = ANY ({locked}::bigint[]) AND {match}
    RETURNING ROW({now})::record OPERATOR(pg_catalog.*<>) ROW({wanted})::record AS differs
), struck AS (
    DELETE FROM {stage} AS s
    WHERE s.number > {after} AND s.number <= {last}
        AND (
            s.number = ANY ({locked}::bigint[])
            OR NOT EXISTS (SELECT FROM {table} AS t WHERE {match})
        )
    RETURNING s.number
)
SELECT
    (SELECT count(*) FROM written) AS written,
    (SELECT count(*) FROM written WHERE differs) AS altered,
    (SELECT count(*) FROM struck) AS struck
