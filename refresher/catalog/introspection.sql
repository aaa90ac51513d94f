-- name: target
-- description: The relation to refresh, and what it reads that is no plain view, in one fixed order.
-- A table has its query in a view beside it.
WITH RECURSIVE target AS (
    SELECT
        c.oid,
        c.relkind::text AS relation_kind,
        c.relispopulated AS populated,
        q.oid AS query,
        CASE WHEN c.relkind IN ('r', 'm') THEN (
            -- What a comparison by key must know.
            SELECT jsonb_agg(
                jsonb_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
                ORDER BY a.attnum
            )
            FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND a.attgenerated = ''
        ) END AS columns,
        CASE WHEN c.relkind IN ('r', 'm') THEN (
            -- An empty key stands for what is unique of expressions, or of some rows only.
            SELECT jsonb_agg(CASE
                WHEN i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
                THEN (
                    SELECT jsonb_agg(a.attname)
                    FROM unnest(i.indkey) WITH ORDINALITY AS k (number, position)
                    JOIN pg_catalog.pg_attribute AS a
                        ON a.attrelid = c.oid AND a.attnum = k.number
                    WHERE k.position <= i.indnkeyatts
                )
                ELSE '[]'
            END ORDER BY i.indexrelid)
            FROM pg_catalog.pg_index AS i
            WHERE i.indrelid = c.oid AND i.indisunique
        ) END AS unique_keys,
        (
            -- What lets CONCURRENTLY work on it: the rule of src/backend/commands/matview.c,
            -- is_usable_unique_index.
            SELECT ic.relname::text
            FROM pg_catalog.pg_index AS i
            JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
            WHERE i.indrelid = c.oid
                AND i.indisunique AND i.indimmediate AND i.indisvalid
                AND i.indpred IS NULL AND i.indexprs IS NULL
                AND i.indnkeyatts > 0
                AND ic.relam = (SELECT am.oid FROM pg_catalog.pg_am AS am WHERE am.amname = 'btree')
            ORDER BY i.indexrelid
            LIMIT 1
        ) AS unique_index
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN (
        pg_catalog.pg_class AS q
        JOIN pg_catalog.pg_namespace AS qn ON qn.oid = q.relnamespace
    ) ON c.relkind = 'r' AND q.relkind = 'v'
        AND qn.nspname = %(query_schema)s AND q.relname = %(query_name)s
    WHERE n.nspname = %(schema)s AND c.relname = %(name)s
), reads (oid) AS (
    SELECT d.refobjid
    FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid <> r.ev_class
    WHERE r.ev_type = '1'
        AND r.ev_class = (SELECT coalesce(target.query, target.oid) FROM target)
    UNION
    SELECT d.refobjid
    FROM reads
    JOIN pg_catalog.pg_class AS c ON c.oid = reads.oid AND c.relkind = 'v'
    JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = c.oid AND r.ev_type = '1'
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid <> r.ev_class
), sources AS (
    SELECT
        c.oid,
        n.nspname::text AS schema,
        c.relname::text AS name,
        c.relkind IN ('r', 'p') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
            AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS lockable,
        CASE c.relkind
            WHEN 'p' THEN ARRAY(
                SELECT t.relid::oid
                FROM pg_catalog.pg_partition_tree(c.oid) AS t
                WHERE t.isleaf
                ORDER BY t.relid
            )
            ELSE ARRAY[c.oid]
        END AS storages
    FROM reads
    JOIN pg_catalog.pg_class AS c ON c.oid = reads.oid AND c.relkind IN ('r', 'p', 'm', 'f')
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
)
SELECT
    target.*,
    sources.oid AS source,
    sources.schema,
    sources.name,
    sources.lockable,
    sources.storages
FROM target
LEFT JOIN sources ON true
ORDER BY sources.oid

-- name: storage_files
-- description: The files behind relations as they are now, whatever the snapshot is.
-- The function asks the catalog cache, which follows the newest commit, not the snapshot, whenever
-- a lock is taken: after reading a relation it tells the file that was read.
SELECT coalesce(array_agg(pg_catalog.pg_relation_filenode(s.oid) ORDER BY s.oid), '{}') AS files
FROM unnest(%(oids)s::oid[]) AS s (oid)

-- name: reads
-- description: What some views read of views and managed tables, and what these read, as defined.
-- Only its SELECT rule reads: what a rule ON INSERT writes to is no upstream. A column that somebody
-- fills stands for the view that fills it. A row as a whole (row_to_json(t)) leaves no trace of its
-- columns in pg_depend, once a column of the table is named beside it; its Var has the number 0. By
-- experiment on 14 and 18.
WITH RECURSIVE reads AS (
    SELECT r.ev_class AS reader, d.refobjid AS read, d.refobjsubid AS number, r.oid AS rule
    FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid <> r.ev_class
    WHERE r.ev_class = ANY (%(readers)s::oid[]) AND r.ev_type = '1'
    UNION
    SELECT r.ev_class AS reader, d.refobjid AS read, d.refobjsubid AS number, r.oid AS rule
    FROM reads
    JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = reads.read AND r.ev_type = '1'
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid <> r.ev_class
), filled AS (
    SELECT a.attrelid AS oid, a.attnum AS number, f.filler
    FROM unnest(
        %(filled_schemas)s::text[], %(filled_tables)s::text[], %(filled_columns)s::text[],
        %(fillers)s::oid[]
    ) AS f (schema, name, attribute, filler)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = f.schema
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = f.name
    JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = c.oid AND a.attname = f.attribute AND NOT a.attisdropped
), found AS (
    SELECT DISTINCT reads.reader, reads.read FROM reads
    UNION
    SELECT reads.reader, filled.filler
    FROM reads
    JOIN filled
        ON filled.oid = reads.read AND (
            filled.number = reads.number
            OR (
                SELECT r.ev_action::text LIKE '%%:varattno 0 %%'
                FROM pg_catalog.pg_rewrite AS r
                WHERE r.oid = reads.rule
            )
        )
)
SELECT
    found.reader,
    found.read,
    c.relkind = 'm' AS materialized,
    n.nspname::text AS schema,
    c.relname::text AS name
FROM found
JOIN pg_catalog.pg_class AS c
    ON c.oid = found.read
    AND (c.relkind IN ('v', 'm') OR c.oid = ANY (%(managed)s::oid[]))
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace

-- name: relations
-- description: What stands under some names.
SELECT
    wanted.view,
    c.oid,
    coalesce(q.oid, c.oid) AS reader,
    c.relkind::text AS relation_kind,
    c.relispopulated AS populated,
    pg_catalog.pg_get_userbyid(c.relowner)::text AS owner
FROM unnest(
    %(views)s::text[], %(schemas)s::text[], %(names)s::text[],
    %(query_schemas)s::text[], %(query_names)s::text[]
) AS wanted (view, schema, name, query_schema, query_name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = wanted.schema
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name
LEFT JOIN (
    pg_catalog.pg_class AS q
    JOIN pg_catalog.pg_namespace AS qn ON qn.oid = q.relnamespace
) ON c.relkind = 'r' AND q.relkind = 'v'
    AND qn.nspname = wanted.query_schema AND q.relname = wanted.query_name
