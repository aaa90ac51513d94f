-- name: load
-- description: How much the database has to do besides us. What a role may not see is null there.
-- Without a replay_lag a standby has replayed all there is. Autovacuum belongs to nobody; walsenders
-- are in pg_stat_replication. Prepared transactions have no session, and hold back VACUUM as others.
WITH standby AS (
    SELECT s.pid, s.state, s.replay_lag FROM pg_catalog.pg_stat_replication AS s
), session AS (
    SELECT a.datid, a.backend_type, a.state, a.xact_start
    FROM pg_catalog.pg_stat_activity AS a
    WHERE a.usesysid IS NOT NULL
        AND a.pid <> pg_catalog.pg_backend_pid()
        AND a.application_name <> 'refresher'
        AND NOT starts_with(a.application_name, 'refresher ')
        AND a.pid NOT IN (SELECT standby.pid FROM standby)
), here AS (
    SELECT d.oid, d.datname FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()
)
SELECT
    (
        SELECT coalesce(max(standby.replay_lag), interval '0')
        FROM standby
        WHERE standby.state IN ('streaming', 'catchup')
    ) AS replication_lag,
    (
        SELECT count(*)
        FROM session
        WHERE session.backend_type = 'client backend' AND session.state = 'active'
    ) AS active_connections,
    (
        SELECT coalesce(max(clock_timestamp() - began.at), interval '0')
        FROM (
            SELECT session.xact_start FROM session JOIN here ON here.oid = session.datid
            UNION ALL
            SELECT p.prepared
            FROM pg_catalog.pg_prepared_xacts AS p
            JOIN here ON here.datname = p.database
        ) AS began (at)
    ) AS oldest_transaction,
    NOT EXISTS (SELECT FROM standby WHERE standby.state IS NULL) AS sees_replication,
    NOT EXISTS (SELECT FROM session WHERE session.backend_type IS NULL) AS sees_sessions
