-- The whole store as its migrations leave it, for reading. Nothing runs this file; a test proves
-- it equal to them, so a migration comes with its change here.

CREATE SCHEMA refresher;

-- The store: what refresher knows of the views of this database.
--
-- Who writes what decides who can fail whom: rows that a refresh writes in its REPEATABLE READ
-- transaction (fence, state, its tallies of success) are written by nobody else except under the
-- fence, or the refresh would end with 40001 and lose its work. Everything that people and
-- other processes write (pause, request, worker, view) lives in other tables.

CREATE TABLE refresher.migration (
    version int PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE refresher.migration IS 'The steps by which this schema came to be.';

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

CREATE TABLE refresher.view (
    name text PRIMARY KEY,
    schema_name text NOT NULL,
    relation_name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('view', 'materialized_view', 'table', 'columns')),
    upstreams text[] NOT NULL DEFAULT '{}',
    unmanaged text[] NOT NULL DEFAULT '{}',
    target_lag interval,
    max_staleness interval,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE refresher.view IS 'Managed views as configured; written when a configuration comes into force.';
COMMENT ON COLUMN refresher.view.upstreams IS 'Nearest refreshed upstreams, looking through plain views.';
COMMENT ON COLUMN refresher.view.unmanaged IS 'Materialized views it reads in the same way that are not managed: nothing tells how old they are, nor, then, how old it is.';

CREATE TABLE refresher.fence (
    view text PRIMARY KEY,
    run bigint,
    worker text,
    taken_at timestamptz,
    rows_done bigint,
    rows_total bigint
) WITH (fillfactor = 50);
COMMENT ON TABLE refresher.fence IS 'The row whose lock is the right to refresh a view. Nothing may have a foreign key to it.';
COMMENT ON COLUMN refresher.fence.rows_done IS 'While columns are being filled: how many rows of rows_total are done.';

CREATE TABLE refresher.slot (
    number int PRIMARY KEY CHECK (number > 0)
);
COMMENT ON TABLE refresher.slot IS 'A locked row is one running refresh; max_parallel rows are in use.';

CREATE TABLE refresher.state (
    view text PRIMARY KEY,
    relation oid NOT NULL,
    as_of timestamptz NOT NULL,
    data_as_of timestamptz,
    watermark pg_snapshot NOT NULL,
    upstreams_seen jsonb NOT NULL DEFAULT '{}',
    run bigint NOT NULL,
    rows bigint NOT NULL,
    last_change_at timestamptz,
    full_seconds double precision,
    concurrent_seconds double precision,
    concurrent_churn bigint,
    storage oid,
    rows_written bigint,
    lineage text DEFAULT refresher.lineage(),
    oldest text[],
    merge_seconds double precision,
    merge_churn bigint,
    audited_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE refresher.state IS 'The last success of each view; written under its fence only.';
COMMENT ON COLUMN refresher.state.relation IS 'The relation that was refreshed: one re-created by others has unknown contents.';
COMMENT ON COLUMN refresher.state.data_as_of IS 'min(as_of, upstreams'' data_as_of) in the refresh''s snapshot; null when an upstream''s is unknown.';
COMMENT ON COLUMN refresher.state.upstreams_seen IS 'Upstream name to the as_of this refresh read it at.';
COMMENT ON COLUMN refresher.state.storage IS 'The file node of the contents: a plain REFRESH, VACUUM FULL and CLUSTER write a new one.';
COMMENT ON COLUMN refresher.state.rows_written IS 'What PostgreSQL''s counters of inserted, updated and deleted rows show once this refresh is counted.';
COMMENT ON COLUMN refresher.state.lineage IS 'Of which server it is: after a restore or a failover nothing here can be relied upon.';
COMMENT ON COLUMN refresher.state.audited_at IS 'The as_of of the last refresh that was audited; null if none was.';
COMMENT ON COLUMN refresher.state.oldest IS 'The names from this view to the one whose as_of is its data_as_of, or is unknown; at most 64.';

CREATE TABLE refresher.run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view text NOT NULL,
    due_at timestamptz NOT NULL,
    trigger text NOT NULL CHECK (trigger IN ('schedule', 'manual', 'upstream', 'populate')),
    strategy text,
    reason text,
    outcome text CHECK (outcome IN ('succeeded', 'unchanged', 'failed', 'cancelled')),
    attempt int NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    as_of timestamptz,
    duration_seconds double precision,
    queue_wait_seconds double precision,
    lock_wait_seconds double precision,
    rows bigint,
    bytes bigint,
    rows_inserted bigint,
    rows_updated bigint,
    rows_deleted bigint,
    failure text,
    error text,
    worker text NOT NULL
);
CREATE INDEX run_by_view ON refresher.run (view, id DESC);
CREATE INDEX run_open ON refresher.run (view) WHERE outcome IS NULL;
CREATE INDEX run_by_age ON refresher.run (started_at);
COMMENT ON TABLE refresher.run IS 'Recorded attempts; outcome is null while one is open.';

CREATE TABLE refresher.tally (
    view text NOT NULL,
    metric text NOT NULL CHECK (metric IN ('runs', 'failures', 'rows', 'misfires', 'corrected')),
    label text NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (view, metric, label)
) WITH (fillfactor = 50);
COMMENT ON TABLE refresher.tally IS 'Counters that outlive runs, which are purged.';

CREATE TABLE refresher.pause (
    view text PRIMARY KEY,
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL,
    paused_by text NOT NULL
);
COMMENT ON TABLE refresher.pause IS 'Views whose schedule is held; a row whose time is over means nothing.';

CREATE TABLE refresher.request (
    view text PRIMARY KEY,
    requested_at timestamptz NOT NULL,
    strategy text,
    requested_by text NOT NULL
);
COMMENT ON TABLE refresher.request IS 'The newest manual request for each view: a due instant like any other.';

CREATE TABLE refresher.worker (
    id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('daemon', 'command')),
    views text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    configuration text,
    configured_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE refresher.worker IS 'Processes at work, refreshed while they live.';
COMMENT ON COLUMN refresher.worker.configuration IS 'A digest of what the configuration says of this database; null for commands.';
COMMENT ON COLUMN refresher.worker.configured_at IS 'When that configuration came into force in the process; null for commands.';

CREATE TABLE refresher.definition (
    view text PRIMARY KEY,
    schema_name text NOT NULL,
    relation_name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz,
    built_at timestamptz
);
COMMENT ON TABLE refresher.definition IS 'Views that were applied, and where; one that is no longer configured can be dropped by its row.';
COMMENT ON COLUMN refresher.definition.changed_at IS 'When apply last gave the view another query: contents computed from it before are of the old one.';
COMMENT ON COLUMN refresher.definition.built_at IS 'When apply last built the view beside and exchanged it: on the definitions of that moment.';

CREATE TABLE refresher.verdict (
    view text NOT NULL,
    check_name text NOT NULL,
    message text,
    broken_since timestamptz,
    checked_at timestamptz NOT NULL,
    run bigint,
    PRIMARY KEY (view, check_name)
) WITH (fillfactor = 50);
COMMENT ON TABLE refresher.verdict IS 'How checks were judged last: of a plain view each time, of what is refreshed when a refresh was refused.';
COMMENT ON COLUMN refresher.verdict.message IS 'What is broken; null where the check holds.';
COMMENT ON COLUMN refresher.verdict.run IS 'The run that was refused, whose record is written with this: a later success mends it without a write, for that could fail the success. Null of a plain view.';

CREATE TABLE refresher.look (
    view text PRIMARY KEY,
    tried_at timestamptz NOT NULL,
    looked_at timestamptz,
    problem text
);
COMMENT ON TABLE refresher.look IS 'When each view was last compared with its definition.';
COMMENT ON COLUMN refresher.look.problem IS 'Why the last try came to nothing; what is known of drift is then that of looked_at.';

CREATE TABLE refresher.drift (
    view text NOT NULL,
    aspect text NOT NULL,
    message text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (view, aspect)
);
COMMENT ON TABLE refresher.drift IS 'Ways in which the catalog differs from the definitions.';

CREATE TABLE refresher.outside (
    view text PRIMARY KEY,
    run bigint NOT NULL,
    storage oid NOT NULL,
    rows_written bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE refresher.outside IS 'The last refresh of each view that was somebody else''s.';
COMMENT ON COLUMN refresher.outside.run IS 'Our last success before it; one of ours since then makes the contents ours again.';

CREATE VIEW refresher.filling AS
SELECT f.view, f.run, f.rows_done, f.rows_total
FROM refresher.fence AS f
JOIN refresher.run AS r ON r.id = f.run AND r.outcome IS NULL
WHERE f.taken_at > clock_timestamp() - interval '3 s';
COMMENT ON VIEW refresher.filling IS 'Columns that are being filled: between two batches nobody holds their fence, and nobody else may begin. A process that is gone keeps them for three seconds.';

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
COMMENT ON VIEW refresher.contents IS 'What is known of the contents that stand: of relations that are still those that were refreshed.';
COMMENT ON COLUMN refresher.contents.distrust IS 'Why nothing tells how old they are: lineage, or clock. Null where as_of counts.';

CREATE VIEW refresher.freshness AS
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
COMMENT ON VIEW refresher.freshness IS 'One row a view: how stale it is now. Grant it to any application.';

CREATE VIEW refresher.broken_check AS
SELECT v.view, v.check_name, v.message, v.broken_since, v.checked_at
FROM refresher.verdict AS v
JOIN refresher.view AS w ON w.name = v.view
LEFT JOIN refresher.state AS s ON s.view = v.view
WHERE v.message IS NOT NULL
    AND CASE
        WHEN w.kind = 'view' THEN v.run IS NULL
        ELSE v.run > coalesce(s.run, 0)
    END;
COMMENT ON VIEW refresher.broken_check IS 'One row a check that is broken now. Grant it to any application.';
