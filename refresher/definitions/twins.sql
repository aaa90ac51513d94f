-- name: search
-- description: Until the transaction ends, look names up in pg_catalog first, then among twins.
-- A twin is a type, too, and would come before those of PostgreSQL: a view may be called `date`.
SELECT pg_catalog.set_config(
    'search_path',
    array_to_string(array_remove(ARRAY[
        CASE WHEN 'pg_catalog' <> ALL (pg_catalog.current_schemas(false)) THEN 'pg_catalog' END,
        'pg_temp',
        nullif(pg_catalog.current_setting('search_path'), '')
    ], NULL), ', '),
    true
)

-- name: visible
-- description: Relations that their name alone means, whether they stand or not.
-- A name means the first relation that has it in the schemas of the search path.
SELECT w.label
FROM unnest(%(labels)s::text[], %(schemas)s::text[], %(names)s::text[]) AS w (label, schema, name)
CROSS JOIN LATERAL (
    SELECT s.position
    FROM unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s (name, position)
    WHERE s.name = w.schema
    LIMIT 1
) AS own
WHERE NOT EXISTS (
    SELECT
    FROM unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS s (name, position)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.name
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
    WHERE s.name <> w.schema
        AND coalesce(array_position(pg_catalog.current_schemas(false), s.name), 0) < own.position
)
    AND NOT EXISTS (
        SELECT
        FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS o (schema, name)
        WHERE o.name = w.name AND o.schema <> w.schema
            AND array_position(pg_catalog.current_schemas(false), o.schema::name) < own.position
    )

-- name: reads
-- description: A temporary view's OID, and the relations it reads directly.
SELECT c.oid, array_remove(array_agg(d.refobjid), NULL) AS reads
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = c.oid
LEFT JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.refobjid <> c.oid
WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() AND c.relname = %(name)s
GROUP BY c.oid

-- name: temporary_schema
-- description: Where this session's temporary relations are.
SELECT n.nspname::text AS name
FROM pg_catalog.pg_namespace AS n
WHERE n.oid = pg_catalog.pg_my_temp_schema()

-- name: form
-- description: A temporary view's query: as printed, and a digest of it as parsed.
-- The parsed query is compared without what means nothing: names of tables within it, places in the
-- text, and the view's own OID, which PostgreSQL 14 and 15 put into it. Column aliases stay: whole
-- rows made into JSON show them.
SELECT
    pg_catalog.pg_get_viewdef(c.oid) AS printed,
    md5(
        regexp_replace(
            replace(r.ev_action::text, ':relid ' || c.oid || ' ', ':relid 0 '),
            ':(alias (<>|\{ALIAS :aliasname (\\.|[^\s\\])+ :colnames <>\})'
                || '|aliasname (\\.|[^\s\\])+|(stmt_)?location -?\d+|stmt_len -?\d+)',
            '',
            'g'
        )
    ) AS digest
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = c.oid AND r.ev_type = '1'
WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() AND c.relname = %(name)s
