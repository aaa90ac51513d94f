-- name: readers
-- description: Views of both kinds that read some relations, directly or not, but those themselves.
WITH RECURSIVE readers AS (
    SELECT r.ev_class AS reader
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_rewrite AS r
        ON r.oid = d.objid AND r.ev_type = '1' AND r.ev_class <> d.refobjid
    WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid = ANY (%(oids)s)
    UNION
    SELECT r.ev_class AS reader
    FROM readers
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid = readers.reader
    JOIN pg_catalog.pg_rewrite AS r
        ON r.oid = d.objid AND r.ev_type = '1' AND r.ev_class <> d.refobjid
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
WHERE r.ev_type = '1' AND r.ev_class = ANY (%(readers)s) AND d.refobjid = ANY (%(oids)s)
GROUP BY r.ev_class, d.refobjid

-- name: objects
-- description: What else depends on some relations or their row types, rules of their own included.
-- Of these, functions with a body in SQL, rules, policies and defaults of columns can be created
-- again in place once the relation's name means another one; everything else can't.
WITH relations AS (
    SELECT c.oid, c.reltype, t.typarray
    FROM pg_catalog.pg_class AS c
    LEFT JOIN pg_catalog.pg_type AS t ON t.oid = c.reltype
    WHERE c.oid = ANY (%(oids)s)
), dependencies AS (
    SELECT r.oid AS relation, d.classid, d.objid, d.objsubid, d.refclassid, d.deptype, a.attname
    FROM relations AS r
    JOIN pg_catalog.pg_depend AS d
        ON (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = r.oid)
        OR (
            d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
            AND d.refobjid IN (r.reltype, r.typarray)
        )
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = r.oid AND a.attnum = d.refobjsubid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    WHERE d.deptype IN ('n', 'a')
), objects AS (
    SELECT
        d.relation,
        d.classid,
        d.objid,
        d.objsubid,
        bool_or(d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass) AS by_type,
        coalesce(array_agg(DISTINCT d.attname::text) FILTER (WHERE d.attname IS NOT NULL), '{}')
            AS columns
    FROM dependencies AS d
    LEFT JOIN pg_catalog.pg_rewrite AS rule
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND rule.oid = d.objid
    WHERE NOT coalesce(rule.rulename = '_RETURN', false)
        AND NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'a')
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_index AS i
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND i.indexrelid = d.objid AND i.indrelid = d.relation
        )
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS k
            WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
                AND k.oid = d.objid AND k.conrelid = d.relation
        )
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS t
            WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
                AND t.oid = d.objid AND t.tgrelid = d.relation
        )
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attrdef AS a
            WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                AND a.oid = d.objid AND a.adrelid = d.relation
        )
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_statistic_ext AS s
            WHERE d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
                AND s.oid = d.objid AND s.stxrelid = d.relation
        )
    GROUP BY d.relation, d.classid, d.objid, d.objsubid
)
SELECT
    o.relation,
    i.type,
    i.identity,
    o.columns,
    coalesce(r.ev_class, oc.oid) AS part_of,
    pg_catalog.pg_get_userbyid(coalesce(f.proowner, own.relowner))::text AS owner,
    CASE
        WHEN oc.relkind = 'c' THEN format('ALTER TYPE %%s DROP ATTRIBUTE %%I', oc.oid::regclass, oa.attname)
        WHEN oc.relkind = 'v' THEN format('DROP VIEW %%s', oc.oid::regclass)
        WHEN oc.relkind = 'm' THEN format('DROP MATERIALIZED VIEW %%s', oc.oid::regclass)
        WHEN oc.oid IS NOT NULL
        THEN format('ALTER TABLE %%s DROP COLUMN %%I', oc.oid::regclass, oa.attname)
        WHEN e.oid IS NOT NULL THEN format(
            'ALTER TABLE %%s ALTER COLUMN %%I DROP %%s',
            e.adrelid::regclass,
            ea.attname,
            CASE ea.attgenerated WHEN '' THEN 'DEFAULT' ELSE 'EXPRESSION' END
        )
        ELSE format('DROP %%s %%s', i.type, i.identity)
    END AS drop,
    CASE
        WHEN o.by_type THEN NULL
        WHEN ea.attgenerated = '' THEN format(
            'ALTER TABLE %%s ALTER COLUMN %%I SET DEFAULT %%s',
            e.adrelid::regclass, ea.attname, pg_catalog.pg_get_expr(e.adbin, e.adrelid)
        )
        WHEN f.prosqlbody IS NOT NULL THEN pg_catalog.pg_get_functiondef(f.oid)
        WHEN r.oid IS NOT NULL THEN
            'CREATE OR REPLACE' || substr(pg_catalog.pg_get_ruledef(r.oid), length('CREATE '))
        WHEN p.polrelid <> o.relation THEN format(
            'ALTER POLICY %%I ON %%s%%s%%s',
            p.polname,
            p.polrelid::pg_catalog.regclass,
            ' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
            ' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'
        )
    END AS statement
FROM objects AS o
CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.classid, o.objid, o.objsubid) AS i
LEFT JOIN pg_catalog.pg_proc AS f
    ON o.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND f.oid = o.objid
LEFT JOIN pg_catalog.pg_rewrite AS r
    ON o.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = o.objid
LEFT JOIN pg_catalog.pg_policy AS p
    ON o.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = o.objid
LEFT JOIN (
    pg_catalog.pg_attrdef AS e
    JOIN pg_catalog.pg_attribute AS ea ON ea.attrelid = e.adrelid AND ea.attnum = e.adnum
) ON o.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND e.oid = o.objid
LEFT JOIN pg_catalog.pg_class AS own ON own.oid = coalesce(r.ev_class, p.polrelid, e.adrelid)
LEFT JOIN (
    pg_catalog.pg_class AS oc
    JOIN pg_catalog.pg_attribute AS oa ON oa.attrelid = oc.oid
) ON o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND oc.oid = o.objid AND oa.attnum = o.objsubid AND o.objsubid > 0
ORDER BY i.type, i.identity

-- name: own
-- description: What belongs to a relation and must be made again on another that takes its name.
-- Each as the statement that makes it; they name the relation by the name it has now.
SELECT o.statement
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT format('%%I.%%I', n.nspname, c.relname) AS name,
        CASE c.relkind
            WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'r' THEN 'TABLE' ELSE 'VIEW'
        END AS kind
) AS t
CROSS JOIN LATERAL (
    SELECT 1 AS rank, a.attnum::int AS position, format(
        'ALTER %%s %%s ALTER COLUMN %%I SET DEFAULT %%s',
        t.kind, t.name, a.attname, pg_catalog.pg_get_expr(e.adbin, e.adrelid)
    ) AS statement, a.attname AS column
    FROM pg_catalog.pg_attrdef AS e
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.adrelid AND a.attnum = e.adnum
    WHERE e.adrelid = c.oid
    UNION ALL
    SELECT 2, a.attnum, format(
        'COMMENT ON COLUMN %%s.%%I IS %%L',
        t.name, a.attname, pg_catalog.col_description(c.oid, a.attnum)
    ), a.attname
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND pg_catalog.col_description(c.oid, a.attnum) IS NOT NULL
    UNION ALL
    SELECT 3, a.attnum, format('ALTER %%s %%s ALTER COLUMN %%I SET ', t.kind, t.name, a.attname) || s.what,
        a.attname
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
    CROSS JOIN LATERAL (
        VALUES
            (CASE WHEN a.attstattarget >= 0 THEN format('STATISTICS %%s', a.attstattarget) END),
            (format('(%%s)', nullif(array_to_string(a.attoptions, ', '), ''))),
            (
                CASE WHEN a.attstorage <> y.typstorage THEN 'STORAGE ' || CASE a.attstorage
                    WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                    ELSE 'EXTENDED'
                END END
            ),
            ('COMPRESSION ' || CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END)
    ) AS s (what)
    WHERE c.relkind IN ('m', 'r') AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND s.what <> '()'
    UNION ALL
    SELECT 4, 0, format(
        'ALTER TABLE %%s ADD CONSTRAINT %%I %%s', t.name, k.conname, pg_catalog.pg_get_constraintdef(k.oid)
    ), NULL
    FROM pg_catalog.pg_constraint AS k
    WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f')
    UNION ALL
    SELECT 4, 0, pg_catalog.pg_get_ruledef(r.oid), NULL
    FROM pg_catalog.pg_rewrite AS r
    CROSS JOIN LATERAL
        pg_catalog.pg_identify_object('pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid, 0) AS i
    WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'
        AND i.type || ' ' || i.identity <> ALL (%(dropped)s)
    UNION ALL
    SELECT 6, 0, format(
        'COMMENT ON RULE %%I ON %%s IS %%L',
        r.rulename, t.name, pg_catalog.obj_description(r.oid, 'pg_rewrite')
    ), NULL
    FROM pg_catalog.pg_rewrite AS r
    CROSS JOIN LATERAL
        pg_catalog.pg_identify_object('pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid, 0) AS i
    WHERE r.ev_class = c.oid AND pg_catalog.obj_description(r.oid, 'pg_rewrite') IS NOT NULL
        AND i.type || ' ' || i.identity <> ALL (%(dropped)s)
    UNION ALL
    SELECT 7, 0, pg_catalog.pg_get_triggerdef(g.oid), NULL
    FROM pg_catalog.pg_trigger AS g
    WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
    UNION ALL
    SELECT 8, 0, format(
        'COMMENT ON TRIGGER %%I ON %%s IS %%L',
        g.tgname, t.name, pg_catalog.obj_description(g.oid, 'pg_trigger')
    ), NULL
    FROM pg_catalog.pg_trigger AS g
    WHERE g.tgrelid = c.oid AND pg_catalog.obj_description(g.oid, 'pg_trigger') IS NOT NULL
    UNION ALL
    -- Not what a view's own grants speak of; a relation made anew has none.
    SELECT 8, a.attnum, format(
        'GRANT %%s (%%I) ON %%s TO %%s%%s',
        g.privilege_type,
        a.attname,
        t.name,
        CASE g.grantee
            WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(g.grantee))
        END,
        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    ), a.attname
    FROM pg_catalog.pg_attribute AS a
    CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS g
    WHERE a.attrelid = c.oid AND %(column_grants)s AND g.grantee <> c.relowner
    UNION ALL
    SELECT p.rank, 0, p.statement, NULL
    FROM pg_catalog.pg_statistic_ext AS s
    JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.stxnamespace
    CROSS JOIN LATERAL (
        VALUES
            (9, pg_catalog.pg_get_statisticsobjdef(s.oid)),
            (10, CASE WHEN s.stxstattarget >= 0 THEN format(
                'ALTER STATISTICS %%I.%%I SET STATISTICS %%s', sn.nspname, s.stxname, s.stxstattarget
            ) END),
            (10, 'COMMENT ON STATISTICS ' || format('%%I.%%I', sn.nspname, s.stxname) || ' IS '
                || quote_literal(pg_catalog.obj_description(s.oid, 'pg_statistic_ext'))),
            (11, CASE WHEN pg_catalog.pg_get_userbyid(s.stxowner) <> current_user THEN format(
                'ALTER STATISTICS %%I.%%I OWNER TO %%I',
                sn.nspname, s.stxname, pg_catalog.pg_get_userbyid(s.stxowner)
            ) END)
    ) AS p (rank, statement)
    WHERE s.stxrelid = c.oid AND p.statement IS NOT NULL
        AND NOT EXISTS (
            -- PostgreSQL drops them with any of their columns.
            SELECT
            FROM pg_catalog.pg_depend AS d
            JOIN pg_catalog.pg_attribute AS a
                ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
                AND a.attname <> ALL (%(columns)s)
            WHERE d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND d.objid = s.oid
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid
        )
    UNION ALL
    SELECT 12, 0, p.statement, NULL
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
    CROSS JOIN LATERAL (
        VALUES
            ('COMMENT ON INDEX ' || format('%%I.%%I', n.nspname, ic.relname) || ' IS '
                || quote_literal(pg_catalog.obj_description(ic.oid, 'pg_class'))),
            (CASE WHEN i.indisclustered THEN format('ALTER %%s %%s CLUSTER ON %%I', t.kind, t.name, ic.relname) END)
    ) AS p (statement)
    WHERE i.indrelid = c.oid AND ic.relname = ANY (%(indexes)s) AND p.statement IS NOT NULL
) AS o
WHERE c.oid = %(oid)s
    AND (o.column IS NULL OR o.column = ANY (%(columns)s))
ORDER BY o.rank, o.position, o.statement

-- name: unreadable
-- description: Relations that views read directly, and their owners may not.
-- A view's relations are read as its owner, whoever reads the view, and by REFRESH, too. USAGE of
-- their schemas is asked only of who creates the view.
SELECT
    w.label,
    format('%%I.%%I', n.nspname, c.relname) AS relation,
    format('GRANT SELECT ON %%I.%%I TO %%I', n.nspname, c.relname, w.owner) AS cure
FROM unnest(%(labels)s::text[], %(owners)s::text[], %(oids)s::oid[]) AS w (label, owner, oid)
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = w.oid AND r.ev_type = '1'
JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.oid
JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid AND c.relpersistence <> 't'
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE EXISTS (SELECT FROM pg_catalog.pg_roles AS o WHERE o.rolname = w.owner)
    AND NOT pg_catalog.has_any_column_privilege(w.owner::name, c.oid, 'SELECT')
GROUP BY w.label, w.owner, n.nspname, c.relname
ORDER BY w.label, n.nspname, c.relname

-- name: spell_out
-- description: Until the transaction ends, have PostgreSQL write schemas before names.
-- Temporary relations are types, too: where pg_temp is not named it comes first.
SET LOCAL search_path = pg_catalog, pg_temp

-- name: strangers
-- description: Of some roles, those whose belongings this one may not change.
SELECT r.rolname::text AS role
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = ANY (%(roles)s) AND NOT pg_catalog.pg_has_role(r.oid, 'USAGE')
