-- name: hold
-- description: Until the transaction ends, hold locks however long nothing is asked.
SET LOCAL idle_in_transaction_session_timeout = 0

-- name: hold
-- description: Until the transaction ends, hold locks however long nothing is asked.
-- from: 17
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL transaction_timeout = 0

-- name: take_fences
-- description: The right to refresh these views, until the transaction ends.
SELECT view
FROM refresher.fence
WHERE view = ANY (%(views)s)
ORDER BY view
FOR NO KEY UPDATE

-- name: note_fences
-- description: Who holds these fences, and since when.
UPDATE refresher.fence
SET run = NULL, worker = %(worker)s, taken_at = clock_timestamp()
WHERE view = ANY (%(views)s)

-- name: lock_applying
-- description: The right to apply definitions in this database, until the transaction ends.
SELECT pg_try_advisory_xact_lock(7210370052) AS locked
