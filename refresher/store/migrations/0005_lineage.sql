-- Whose states these are. as_of and the watermark are those of one server's clock and transactions:
-- after a restore or a failover, and once the clock is put back, nothing tells how old contents are
-- until they are refreshed.

CREATE FUNCTION refresher.lineage() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN (SELECT c.system_identifier FROM pg_control_system() AS c) || '/';
    END IF;
    RETURN (SELECT c.system_identifier FROM pg_control_system() AS c)
        || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
EXCEPTION
    WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION refresher.lineage() IS 'system identifier/timeline of this server; without the timeline, which nothing tells there, on a standby; null where the platform hides it.';
GRANT EXECUTE ON FUNCTION refresher.lineage() TO PUBLIC;

-- Whoever upgrades vouches for what is there: it is stamped as this server's, without a write, for
-- that could fail a refresh at work. Not told and not tellable are the same, so that a server which
-- begins to tell, or ceases to, has everything refreshed once.
ALTER TABLE refresher.state ADD COLUMN lineage text DEFAULT refresher.lineage();
ALTER TABLE refresher.state ADD COLUMN oldest text[];
COMMENT ON COLUMN refresher.state.lineage IS 'Of which server it is: after a restore or a failover nothing here can be relied upon.';
COMMENT ON COLUMN refresher.state.oldest IS 'The names from this view to the one whose as_of is its data_as_of, or is unknown; at most 64.';

CREATE VIEW refresher.contents AS
SELECT
    s.view,
    s.relation,
    s.run,
    s.rows,
    s.last_change_at,
    s.full_seconds,
    s.concurrent_seconds,
    s.concurrent_churn,
    s.storage,
    s.rows_written,
    d.distrust,
    CASE WHEN d.distrust IS NULL THEN s.as_of END AS as_of,
    CASE WHEN d.distrust IS NULL THEN s.data_as_of END AS data_as_of,
    CASE WHEN d.distrust IS NULL THEN s.upstreams_seen END AS upstreams_seen,
    CASE WHEN d.distrust IS NULL THEN s.oldest END AS oldest
FROM refresher.state AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.relation AND c.relispopulated
CROSS JOIN LATERAL (
    SELECT
        CASE
            -- A subquery, so that it is asked once and not for every view.
            WHEN NOT coalesce(
                starts_with(s.lineage, (SELECT refresher.lineage())),
                s.lineage IS NULL AND (SELECT refresher.lineage()) IS NULL
            ) THEN 'lineage'
            WHEN s.as_of > clock_timestamp() + interval '100 ms' THEN 'clock'
        END AS distrust
) AS d;
COMMENT ON VIEW refresher.contents IS 'What is known of the contents that stand: of relations that are still those that were refreshed.';
COMMENT ON COLUMN refresher.contents.distrust IS 'Why nothing tells how old they are: lineage, or clock. Null where as_of counts.';

CREATE OR REPLACE VIEW refresher.freshness AS
SELECT
    f.view,
    f.relation,
    f.kind,
    CASE
        WHEN f.data_as_of IS NULL THEN 'unknown'
        WHEN f.staleness > f.max_staleness THEN 'stale'
        WHEN f.staleness > f.target_lag THEN 'late'
        ELSE 'fresh'
    END AS state,
    f.as_of,
    f.data_as_of,
    f.staleness,
    f.max_staleness,
    r.outcome AS last_outcome,
    r.started_at AS last_started_at,
    r.finished_at AS last_finished_at
FROM (
    SELECT
        v.name AS view,
        format('%I.%I', v.schema_name, v.relation_name) AS relation,
        v.kind,
        v.target_lag,
        v.max_staleness,
        own.as_of,
        d.data_as_of,
        -- greatest() alone would make an unknown staleness none at all: it passes over nulls.
        CASE
            WHEN d.data_as_of IS NOT NULL
            THEN greatest(statement_timestamp() - d.data_as_of, interval '0')
        END AS staleness
    FROM refresher.view AS v
    LEFT JOIN (
        pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    ) ON n.nspname = v.schema_name AND c.relname = v.relation_name
    LEFT JOIN refresher.contents AS own ON own.view = v.name AND own.relation = c.oid
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN v.kind = 'materialized_view' THEN own.data_as_of
                WHEN c.relkind IS DISTINCT FROM 'v' OR cardinality(v.unmanaged) > 0 THEN NULL
                WHEN cardinality(v.upstreams) = 0 THEN statement_timestamp()
                ELSE (
                    SELECT CASE WHEN bool_and(u.data_as_of IS NOT NULL) THEN min(u.data_as_of) END
                    FROM unnest(v.upstreams) AS wanted (name)
                    LEFT JOIN (
                        refresher.view AS uv
                        JOIN pg_catalog.pg_namespace AS un ON un.nspname = uv.schema_name
                        JOIN pg_catalog.pg_class AS uc
                            ON uc.relnamespace = un.oid AND uc.relname = uv.relation_name
                        JOIN refresher.contents AS u ON u.view = uv.name AND u.relation = uc.oid
                    ) ON uv.name = wanted.name
                )
            END AS data_as_of
    ) AS d
) AS f
LEFT JOIN LATERAL (
    SELECT run.outcome, run.started_at, run.finished_at
    FROM refresher.run
    WHERE run.view = f.view
    ORDER BY run.id DESC
    LIMIT 1
) AS r ON true;
