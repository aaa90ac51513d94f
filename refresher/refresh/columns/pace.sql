-- name: replication_lag
-- description: How far the slowest standby is behind; null where that may not be seen.
SELECT coalesce(max(s.replay_lag), interval '0') AS lag
FROM pg_catalog.pg_stat_replication AS s
WHERE s.state IN ('streaming', 'catchup')
