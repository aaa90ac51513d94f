-- name: relation
-- description: A relation, in PostgreSQL's own words.
-- The parsed query is compared without what means nothing: names of tables within it, places in the
-- text, and the view's own OID, which PostgreSQL 14 and 15 put into it. Column aliases stay: whole
-- rows made into JSON show them.
SELECT
    c.oid,
    c.relkind::text AS kind,
    CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) ELSE '' END AS query,
    coalesce(
        md5(
            regexp_replace(
                replace(r.ev_action::text, ':relid ' || c.oid || ' ', ':relid 0 '),
                ':(alias (<>|\{ALIAS :aliasname (\\.|[^\s\\])+ :colnames <>\})'
                    || '|aliasname (\\.|[^\s\\])+|(stmt_)?location -?\d+|stmt_len -?\d+)',
                '',
                'g'
            )
        ),
        ''
    ) AS shape,
    pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
    pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
    c.relispopulated AS populated
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = c.oid AND r.ev_type = '1'
WHERE n.nspname = %(schema)s AND c.relname = %(name)s

-- name: columns
-- description: A relation's columns, in order.
SELECT a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: indexes
-- description: A relation's valid indexes; the text before USING only names index and relation.
SELECT
    ic.relname::text AS name,
    i.indisunique AS unique,
    substr(
        pg_catalog.pg_get_indexdef(i.indexrelid),
        length(format(
            'CREATE %%sINDEX %%I ON %%I.%%I ',
            CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, ic.relname, n.nspname, c.relname
        )) + 1
    ) AS body
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indrelid = %(oid)s AND i.indisvalid
ORDER BY ic.relname

-- name: grants
-- description: Who may do what with a relation or some of its columns, without its owner.
SELECT
    CASE a.grantee WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END AS role,
    array_agg(DISTINCT lower(a.privilege_type) || a.of_what) AS privileges
FROM (
    SELECT r.grantee, r.privilege_type, '' AS of_what, c.relowner
    FROM pg_catalog.pg_class AS c
    CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS r
    WHERE c.oid = %(oid)s
    UNION ALL
    SELECT r.grantee, r.privilege_type, ' of a column', c.relowner
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_attribute AS t ON t.attrelid = c.oid
    CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) AS r
    WHERE c.oid = %(oid)s
) AS a
WHERE a.grantee <> a.relowner
GROUP BY a.grantee

-- name: spell_out
-- description: Until the transaction ends, have PostgreSQL write schemas before names.
SET LOCAL search_path = pg_catalog

-- name: serialize_apply
-- description: One process creates at a time, until this transaction ends.
SELECT pg_advisory_xact_lock(7210370052)

-- name: serialize_indexing
-- description: One process creates indexes of a view at a time, until this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(%(view)s, 7210370052))

-- name: analyzed
-- description: Whether the planner has statistics of this relation; creating an index gives none.
-- An empty relation has none after ANALYZE either, but its rows are known to be 0 then, not -1; when
-- it was analyzed is told late on PostgreSQL 14, and forgotten after a crash.
SELECT
    c.reltuples = 0
    OR pg_catalog.pg_stat_get_last_analyze_time(c.oid) IS NOT NULL
    OR pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) IS NOT NULL
    OR EXISTS (
        SELECT FROM pg_catalog.pg_stats AS s
        WHERE s.schemaname = n.nspname AND s.tablename = c.relname
    ) AS analyzed
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = %(oid)s
