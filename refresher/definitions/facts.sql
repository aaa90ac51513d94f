-- name: relations
-- description: Relations, in PostgreSQL's own words.
SELECT
    n.nspname::text AS schema,
    c.relname::text AS name,
    c.oid,
    c.relkind::text AS kind,
    q.oid AS query_oid,
    CASE
        WHEN c.relkind IN ('v', 'm') OR q.oid IS NOT NULL
        THEN pg_catalog.pg_get_viewdef(coalesce(q.oid, c.oid))
        ELSE ''
    END AS query,
    ARRAY(
        SELECT ARRAY[
            a.attname::text,
            pg_catalog.format_type(a.atttypid, a.atttypmod) || CASE
                WHEN a.attcollation <> t.typcollation
                THEN format(' COLLATE %%I.%%I', cn.nspname, l.collname)
                ELSE ''
            END
        ]
        FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
        LEFT JOIN pg_catalog.pg_namespace AS cn ON cn.oid = l.collnamespace
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
    ) AS columns,
    (
        -- The text before USING only names index and relation; PostgreSQL 14 calls a temporary
        -- schema by its number.
        SELECT coalesce(jsonb_agg(jsonb_build_array(
            ic.relname,
            i.indisunique,
            i.indisprimary,
            substr(
                pg_catalog.pg_get_indexdef(i.indexrelid),
                length(format(
                    'CREATE %%sINDEX %%I ON %%I.%%I ',
                    CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END,
                    ic.relname,
                    CASE
                        WHEN c.relpersistence = 't'
                            AND pg_catalog.current_setting('server_version_num')::int >= 150000
                        THEN 'pg_temp'
                        ELSE n.nspname
                    END,
                    c.relname
                )) + 1
            ),
            s.spcname,
            (
                SELECT coalesce(jsonb_agg(
                    jsonb_build_array(ia.attnum, ia.attstattarget) ORDER BY ia.attnum
                ), '[]')
                FROM pg_catalog.pg_attribute AS ia
                WHERE ia.attrelid = i.indexrelid AND ia.attstattarget >= 0
                    AND i.indkey[ia.attnum - 1] = 0
            )
        ) ORDER BY ic.relname), '[]')
        FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
        LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = ic.reltablespace
        WHERE i.indrelid = c.oid AND i.indisvalid
    ) AS indexes,
    ARRAY(
        SELECT ic.relname::text
        FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND NOT i.indisvalid
    ) AS invalid_indexes,
    pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
    (
        -- Who may do what with it or some of its columns, without its owner.
        SELECT coalesce(jsonb_object_agg(g.role, g.privileges), '{}')
        FROM (
            SELECT
                CASE a.grantee
                    WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text
                END AS role,
                jsonb_agg(DISTINCT lower(a.privilege_type) || a.of_what || CASE
                    WHEN a.is_grantable THEN ' with grant option' ELSE ''
                END) AS privileges
            FROM (
                SELECT r.grantee, r.privilege_type, r.is_grantable, '' AS of_what
                FROM pg_catalog.aclexplode(c.relacl) AS r
                UNION ALL
                SELECT r.grantee, r.privilege_type, r.is_grantable, ' of a column'
                FROM pg_catalog.pg_attribute AS t
                CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) AS r
                WHERE t.attrelid = c.oid
            ) AS a
            WHERE a.grantee <> c.relowner
            GROUP BY a.grantee
        ) AS g
    ) AS grants,
    pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
    c.relispopulated AS populated,
    coalesce(c.reloptions, '{}')
        || ARRAY(SELECT 'toast.' || o.option FROM unnest(tc.reloptions) AS o (option)) AS options,
    ts.spcname::text AS tablespace,
    am.amname::text AS access_method,
    nullif(c.reltuples, -1)::bigint AS rows,
    CASE
        WHEN c.relkind IN ('r', 'm', 'p') THEN pg_catalog.pg_total_relation_size(c.oid) ELSE 0
    END AS bytes
FROM unnest(
    %(schemas)s::text[], %(names)s::text[], %(query_schemas)s::text[], %(query_names)s::text[]
) AS wanted (schema, name, query_schema, query_name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = wanted.schema
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name
LEFT JOIN (
    pg_catalog.pg_class AS q
    JOIN pg_catalog.pg_namespace AS qn ON qn.oid = q.relnamespace
) ON c.relkind = 'r' AND q.relkind = 'v'
    AND qn.nspname = wanted.query_schema AND q.relname = wanted.query_name
LEFT JOIN pg_catalog.pg_class AS tc ON tc.oid = c.reltoastrelid
LEFT JOIN pg_catalog.pg_tablespace AS ts ON ts.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_am AS am ON am.oid = c.relam

-- name: spell_out
-- description: Until the transaction ends, have PostgreSQL write schemas before names.
-- Temporary relations are types, too: where pg_temp is not named it comes first.
SET LOCAL search_path = pg_catalog, pg_temp

-- name: filled
-- description: What refresher has filled: tables, and columns by the view that has their query.
SELECT s.relation FROM refresher.state AS s WHERE s.relation = ANY (%(oids)s::oid[])
