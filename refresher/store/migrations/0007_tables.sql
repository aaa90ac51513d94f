-- Tables that refresher maintains, and columns that it fills; audits, which look again at a sample of what a refresh wrote, and
-- rows that were put right.

ALTER TABLE refresher.view DROP CONSTRAINT view_kind_check;
ALTER TABLE refresher.view ADD CONSTRAINT view_kind_check
    CHECK (kind IN ('view', 'materialized_view', 'table', 'columns'));

ALTER TABLE refresher.state ADD COLUMN merge_seconds double precision;
ALTER TABLE refresher.state ADD COLUMN merge_churn bigint;
ALTER TABLE refresher.state ADD COLUMN audited_at timestamptz;
COMMENT ON COLUMN refresher.state.audited_at IS 'The as_of of the last refresh that was audited; null if none was.';

ALTER TABLE refresher.tally DROP CONSTRAINT tally_metric_check;
ALTER TABLE refresher.tally ADD CONSTRAINT tally_metric_check
    CHECK (metric IN ('runs', 'failures', 'rows', 'misfires', 'corrected'));

ALTER TABLE refresher.fence ADD COLUMN rows_done bigint;
ALTER TABLE refresher.fence ADD COLUMN rows_total bigint;
COMMENT ON COLUMN refresher.fence.rows_done IS 'While columns are being filled: how many rows of rows_total are done.';

CREATE VIEW refresher.filling AS
SELECT f.view, f.run, f.rows_done, f.rows_total
FROM refresher.fence AS f
JOIN refresher.run AS r ON r.id = f.run AND r.outcome IS NULL
WHERE f.taken_at > clock_timestamp() - interval '3 s';
COMMENT ON VIEW refresher.filling IS 'Columns that are being filled: between two batches nobody holds their fence, and nobody else may begin. A process that is gone keeps them for three seconds.';

CREATE OR REPLACE VIEW refresher.contents AS
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
    CASE WHEN d.distrust IS NULL THEN s.oldest END AS oldest,
    s.merge_seconds,
    s.merge_churn
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
                WHEN v.kind <> 'view' THEN own.data_as_of
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
