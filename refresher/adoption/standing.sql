-- name: candidates
-- description: Views of both kinds that are somebody's own: no system's, no extension's, not ours.
-- And tables whose query is kept in the store, or that may be ones: long names are not kept as such.
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE (
        c.relkind IN ('v', 'm')
        OR c.relkind = 'r' AND EXISTS (
            SELECT
            FROM pg_catalog.pg_class AS q
            JOIN pg_catalog.pg_namespace AS qn ON qn.oid = q.relnamespace
            WHERE qn.nspname = 'refresher' AND q.relkind = 'v'
                AND (
                    q.relname = n.nspname || '.' || c.relname
                    OR octet_length(n.nspname || '.' || c.relname) > 63
                )
        )
    )
    AND n.nspname <> 'refresher'
    AND n.nspname <> 'information_schema'
    AND n.nspname !~ '^pg_'
    AND NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
            AND d.deptype = 'e'
    )
    -- What an apply that was cut off left (definitions/marks.py): the next one drops it.
    AND NOT starts_with(
        coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''), 'refresher builds this beside '
    )
ORDER BY n.nspname, c.relname

-- name: indexes
-- description: What the valid indexes of some relations are made of.
SELECT
    i.indrelid AS relation,
    ic.relname::text AS name,
    am.amname::text AS method,
    CASE WHEN i.indexprs IS NULL THEN made.keys END AS columns,
    CASE
        WHEN i.indkey[0] = 0 AND i.indnkeyatts = 1
        THEN pg_catalog.pg_get_expr(i.indexprs, i.indrelid)
    END AS expression,
    made.include,
    format('USING %%I (%%s)', am.amname, made.printed) || CASE
        WHEN i.indnatts > i.indnkeyatts THEN format(' INCLUDE (%%s)', made.printed_include) ELSE ''
    END AS plain,
    -- The rule of REFRESH CONCURRENTLY (src/backend/commands/matview.c, is_usable_unique_index).
    i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
        AND am.amname = 'btree' AS identifies
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
JOIN pg_catalog.pg_am AS am ON am.oid = ic.relam
CROSS JOIN LATERAL (
    SELECT
        coalesce(array_agg(a.attname::text ORDER BY p.n) FILTER (WHERE p.is_key), '{}') AS keys,
        coalesce(array_agg(a.attname::text ORDER BY p.n) FILTER (WHERE NOT p.is_key), '{}')
            AS include,
        string_agg(p.printed, ', ' ORDER BY p.n) FILTER (WHERE p.is_key) AS printed,
        string_agg(p.printed, ', ' ORDER BY p.n) FILTER (WHERE NOT p.is_key) AS printed_include
    FROM (
        SELECT
            k.n,
            k.n <= i.indnkeyatts AS is_key,
            pg_catalog.pg_get_indexdef(i.indexrelid, k.n, false) AS printed
        FROM generate_series(1, i.indnatts) AS k (n)
    ) AS p
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p.n - 1]
) AS made
WHERE i.indrelid = ANY(%(oids)s) AND i.indisvalid
ORDER BY ic.relname

-- name: role
-- description: Who we are.
SELECT current_user::text AS role
