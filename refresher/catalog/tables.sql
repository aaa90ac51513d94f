-- name: tables
-- description: The tables that some views read, through plain views that are none of them.
WITH RECURSIVE direct (reader, oid) AS (
    SELECT r.ev_class, d.refobjid
    FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid <> r.ev_class
    WHERE r.ev_type = '1'
), reads (view, oid) AS (
    SELECT reader, oid FROM direct WHERE reader = ANY (%(oids)s::oid[])
    UNION
    SELECT reads.view, direct.oid
    FROM reads
    JOIN pg_catalog.pg_class AS c ON c.oid = reads.oid AND c.relkind = 'v'
    JOIN direct ON direct.reader = reads.oid
    WHERE reads.oid <> ALL (%(managed)s::oid[])
)
SELECT
    reads.view,
    n.nspname::text AS schema,
    c.relname::text AS name,
    c.relkind = 'f' AS elsewhere
FROM reads
JOIN pg_catalog.pg_class AS c
    ON c.oid = reads.oid AND c.relkind IN ('r', 'p', 'f') AND c.oid <> ALL (%(managed)s::oid[])
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY n.nspname, c.relname
