-- name: risky
-- description: Whether a view uses, through others too, functions that look names up when they run.
-- Not those that come with PostgreSQL, that set their search_path, or whose body was read when they
-- were created.
WITH RECURSIVE reads (oid) AS (
    SELECT %(oid)s::oid
    UNION
    SELECT d.refobjid
    FROM reads
    JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = reads.oid AND r.ev_type = '1'
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid AND c.relkind = 'v'
)
SELECT EXISTS (
    SELECT
    FROM reads
    JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = reads.oid AND r.ev_type = '1'
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    JOIN pg_catalog.pg_proc AS f ON f.oid = d.refobjid
    JOIN pg_catalog.pg_language AS l ON l.oid = f.prolang
    WHERE l.lanname NOT IN ('internal', 'c') AND f.prosqlbody IS NULL
        AND NOT EXISTS (
            SELECT FROM unnest(f.proconfig) AS s (setting)
            WHERE starts_with(s.setting, 'search_path=')
        )
) AS risky
