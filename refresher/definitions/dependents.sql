-- name: readers
-- description: Views of both kinds that read some relations, directly or not, but those themselves.
WITH RECURSIVE reads AS (
    SELECT r.ev_class AS reader, d.refobjid AS read
    FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid <> r.ev_class
    WHERE r.ev_type = '1'
), readers AS (
    SELECT reads.reader FROM reads WHERE reads.read = ANY (%(oids)s)
    UNION
    SELECT reads.reader FROM readers JOIN reads ON reads.read = readers.reader
)
SELECT n.nspname::text AS schema, c.relname::text AS name
FROM readers
JOIN pg_catalog.pg_class AS c ON c.oid = readers.reader AND c.relkind IN ('v', 'm')
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT c.oid = ANY (%(oids)s) AND c.relpersistence <> 't'
ORDER BY n.nspname, c.relname

-- name: reads
-- description: What some views read directly as they stand, among themselves.
SELECT r.ev_class AS reader, d.refobjid AS read
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.refobjid <> r.ev_class
WHERE r.ev_type = '1' AND r.ev_class = ANY (%(oids)s) AND d.refobjid = ANY (%(oids)s)
GROUP BY r.ev_class, d.refobjid
