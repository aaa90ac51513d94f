-- name: fillable
-- description: What there is of a table whose columns are to be filled, for a role that fills them.
SELECT
    c.relkind::text AS kind,
    EXISTS (
        SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = c.oid AND c.relkind = 'r'
    ) AS inherited,
    EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = c.oid
            AND i.indisunique AND i.indimmediate AND i.indisvalid
            AND i.indpred IS NULL AND i.indexprs IS NULL
            AND ARRAY(
                SELECT a.attname::text
                FROM unnest(i.indkey) WITH ORDINALITY AS k (number, position)
                JOIN pg_catalog.pg_attribute AS a
                    ON a.attrelid = c.oid AND a.attnum = k.number
                WHERE k.position <= i.indnkeyatts
                ORDER BY 1
            ) = ARRAY(SELECT k.name FROM unnest(%(key)s::text[]) AS k (name) ORDER BY 1)
    ) AS told_apart,
    ARRAY(
        SELECT w.name
        FROM unnest(%(key)s::text[] || %(columns)s::text[]) AS w (name)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attname = w.name
                AND a.attnum > 0 AND NOT a.attisdropped
        )
    ) AS missing,
    ARRAY(
        SELECT a.attname::text
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attname = ANY (%(columns)s::text[])
            AND (a.attgenerated <> '' OR a.attidentity = 'a')
        ORDER BY a.attnum
    ) AS generated,
    ARRAY(
        SELECT a.attname::text
        -- It may be a partition itself.
        FROM pg_catalog.pg_partition_ancestors(c.oid) AS w (relation)
        JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = w.relation
        JOIN pg_catalog.pg_attribute AS a
            ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs)
        WHERE a.attname = ANY (%(columns)s::text[])
        GROUP BY a.attname
        ORDER BY a.attname
    ) AS partitioning,
    ARRAY(
        SELECT a.attname::text
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND (
                a.attname = ANY (%(key)s::text[] || %(columns)s::text[])
                AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
                OR a.attname = ANY (%(columns)s::text[])
                AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'UPDATE')
            )
        ORDER BY a.attnum
    ) AS forbidden
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s
