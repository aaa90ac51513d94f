-- name: place
-- description: Whether pg_cron's jobs can be read here, its time zone, and where it may have them.
SELECT
    coalesce(
        pg_catalog.has_schema_privilege(n.oid, 'USAGE')
            AND pg_catalog.has_table_privilege(c.oid, 'SELECT'),
        false
    ) AS readable,
    c.oid IS NOT NULL AS present,
    pg_catalog.current_database()::text AS database,
    -- Only who may read all settings is shown these; versions before 1.5 know GMT only.
    coalesce(
        (SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name = 'cron.timezone'),
        CASE WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') THEN 'GMT' END
    ) AS timezone,
    coalesce(
        (SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name = 'cron.database_name'),
        CASE WHEN NOT pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') THEN 'postgres' END
    ) AS jobs_database
FROM (SELECT) AS here
LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = 'cron'
LEFT JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = n.oid AND c.relname = 'job' AND c.relkind = 'r'

-- name: jobs
-- description: The jobs that work in one database; the columns that old versions lack are null.
SELECT
    j.jobid AS number,
    to_jsonb(j) ->> 'jobname' AS name,
    j.schedule,
    j.command,
    j.username::text AS username,
    coalesce((to_jsonb(j) ->> 'active')::boolean, true) AS active
FROM cron.job AS j
WHERE j.database = %(database)s
ORDER BY j.jobid

-- name: functions
-- description: Functions in whose text materialized views are refreshed.
SELECT n.nspname::text AS schema, p.proname::text AS name, p.prosrc AS body
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND p.prosrc ~* 'refresh\s+materialized\s+view'
ORDER BY n.nspname, p.proname
