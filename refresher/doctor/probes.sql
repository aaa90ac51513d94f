-- name: server
-- description: Whom we reached, and as whom.
SELECT
    pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) AS version,
    pg_catalog.current_database()::text AS database,
    current_user::text AS role,
    coalesce(
        (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user), false
    ) AS superuser,
    pg_catalog.pg_backend_pid() AS pid,
    pg_catalog.pg_is_in_recovery() AS replica,
    pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS sees_everybody,
    -- With the rights of its owner, whoever asks.
    pg_catalog.pg_get_userbyid(teller.oid)::text AS lineage_teller,
    ARRAY(
        SELECT p.oid::pg_catalog.regprocedure::text
        FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
            AND p.proname IN ('pg_control_system', 'pg_current_wal_lsn', 'pg_walfile_name')
            AND NOT pg_catalog.has_function_privilege(teller.oid, p.oid, 'EXECUTE')
        ORDER BY p.proname
    ) AS lineage_hidden
FROM (
    SELECT coalesce(
        (
            SELECT p.proowner
            FROM pg_catalog.pg_proc AS p
            JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
            WHERE n.nspname = 'refresher' AND p.proname = 'lineage'
        ),
        (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
    ) AS oid
) AS teller

-- name: settings
-- description: Settings as this connection has them, and where they come from.
SELECT
    s.name,
    pg_catalog.current_setting(s.name) AS value,
    CASE WHEN s.vartype = 'integer' THEN s.setting::bigint END AS number,
    s.source
FROM pg_catalog.pg_settings AS s
WHERE s.name = ANY (%(names)s)

-- name: usage
-- description: How much of the server is in use.
SELECT
    (
        SELECT coalesce(sum(d.numbackends), 0) FROM pg_catalog.pg_stat_database AS d
    )::bigint - (
        SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.usename = current_user
    ) AS connections,
    (
        SELECT nullif(r.rolconnlimit, -1)
        FROM pg_catalog.pg_roles AS r
        WHERE r.rolname = current_user
    ) AS role_limit,
    (
        SELECT nullif(d.datconnlimit, -1)
        FROM pg_catalog.pg_database AS d
        WHERE d.datname = pg_catalog.current_database()
    ) AS database_limit,
    (
        SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
        WHERE
            a.wait_event = 'SyncRep'
            AND a.state_change < pg_catalog.clock_timestamp() - interval '10 seconds'
    ) AS waiting_commits,
    pg_catalog.current_setting('synchronous_standby_names') AS synchronous_standbys,
    s.temp_bytes AS temporary_bytes,
    coalesce(s.stats_reset, pg_catalog.pg_postmaster_start_time()) AS counted_since,
    pg_catalog.clock_timestamp() AS now
FROM pg_catalog.pg_stat_database AS s
WHERE s.datname = pg_catalog.current_database()

-- name: store
-- description: The schema of the store, and what we may do there.
SELECT
    n.oid IS NOT NULL AS present,
    pg_catalog.pg_get_userbyid(n.nspowner)::text AS owner,
    coalesce(pg_catalog.pg_has_role(n.nspowner, 'USAGE'), false) AS owned,
    coalesce(
        (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.oid = n.nspowner), false
    ) AS owner_is_superuser,
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_create,
    ARRAY(
        SELECT c.relname::text
        FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'v')
        ORDER BY c.relname
    ) AS relations,
    ARRAY(
        SELECT c.relname::text
        FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND NOT (
            pg_catalog.has_schema_privilege(n.oid, 'USAGE')
            AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
            AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
            AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')
            AND pg_catalog.has_table_privilege(c.oid, 'DELETE')
        )
        ORDER BY c.relname
    ) AS closed,
    n.oid IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS c WHERE c.relnamespace = n.oid
    ) AS vacant,
    EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = n.oid AND c.relname = 'migration'
    ) AS has_versions
FROM (VALUES ('refresher')) AS w (name)
LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.name

-- name: store_version
-- description: The newest migration the store has seen; null if it says none.
SELECT max(m.version) AS version FROM refresher.migration AS m

-- name: standing
-- description: What stands under the names of views, and what this role may do with it.
SELECT
    w.view,
    c.oid,
    c.relkind::text AS kind,
    coalesce(c.relispopulated, false) AS populated,
    coalesce(pg_catalog.pg_get_userbyid(c.relowner)::text, w.owner) AS owner,
    coalesce(pg_catalog.pg_has_role(coalesce(c.relowner, r.oid), 'USAGE'), false) AS owned,
    coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT'), false) AS readable,
    coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), true) AS reachable,
    coalesce(
        pg_catalog.has_schema_privilege(coalesce(c.relowner, r.oid), n.oid, 'USAGE'), true
    ) AS owner_reaches,
    coalesce(
        pg_catalog.has_database_privilege(
            coalesce(c.relowner, r.oid), pg_catalog.current_database(), 'TEMPORARY'
        ),
        true
    ) AS owner_keeps_temporary,
    ARRAY(
        SELECT DISTINCT g.name
        FROM pg_catalog.aclexplode(c.relacl) AS a
        CROSS JOIN LATERAL (
            SELECT CASE a.grantee
                WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text
            END AS name
        ) AS g
        WHERE a.privilege_type = 'SELECT' AND g.name IN ('public', 'anon', 'authenticated')
        ORDER BY g.name
    ) AS readers,
    coalesce(
        (
            -- By the planner's count, which takes no lock.
            SELECT max(ic.relpages::bigint) * pg_catalog.current_setting('block_size')::bigint
            FROM pg_catalog.pg_index AS i
            JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
            WHERE i.indrelid = c.oid
        ),
        0
    ) AS index_bytes
FROM unnest(%(views)s::text[], %(schemas)s::text[], %(names)s::text[], %(owners)s::text[])
    WITH ORDINALITY AS w (view, schema, name, owner, position)
LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = w.owner
ORDER BY w.position

-- name: refreshable
-- description: Which views this role may refresh: those it acts as the owner of.
SELECT w.view
FROM unnest(%(views)s::text[], %(schemas)s::text[], %(names)s::text[]) AS w (view, schema, name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE')

-- name: refreshable
-- description: Which views this role may refresh: those it has MAINTAIN on, as owners have.
-- That is for REFRESH: a table is written to, and its query read, by who acts as the owner.
-- from: 17
SELECT w.view
FROM unnest(%(views)s::text[], %(schemas)s::text[], %(names)s::text[]) AS w (view, schema, name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
WHERE CASE c.relkind
    WHEN 'r' THEN pg_catalog.pg_has_role(c.relowner, 'USAGE')
    ELSE pg_catalog.has_table_privilege(c.oid, 'MAINTAIN')
END

-- name: reads
-- description: What views read, through plain views, and whose privileges count there.
-- Owners are given for views that are to belong to somebody, and null for those that do.
-- A plain view reads with the rights of its owner, unless it is one of PostgreSQL 15's
-- security_invoker views. Row-level security follows src/backend/utils/misc/rls.c.
WITH RECURSIVE managed AS (
    SELECT w.view, w.oid, coalesce(r.oid, c.relowner) AS owner
    FROM unnest(%(views)s::text[], %(oids)s::oid[], %(owners)s::text[]) AS w (view, oid, owner)
    JOIN pg_catalog.pg_class AS c ON c.oid = w.oid
    LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = w.owner
),
direct AS (
    SELECT DISTINCT r.ev_class AS view, d.refobjid AS read
    FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refobjid <> r.ev_class
    WHERE r.ev_type = '1'
),
reads (view, oid, reader) AS (
    SELECT m.view, d.read, m.owner
    FROM managed AS m
    JOIN direct AS d ON d.view = m.oid
    UNION
    SELECT
        reads.view,
        d.read,
        CASE
            WHEN EXISTS (
                SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
                WHERE o.option_name = 'security_invoker' AND o.option_value::bool
            )
            THEN reads.reader
            ELSE coalesce(m.owner, c.relowner)
        END
    FROM reads
    JOIN pg_catalog.pg_class AS c ON c.oid = reads.oid AND c.relkind = 'v'
    JOIN direct AS d ON d.view = c.oid
    LEFT JOIN managed AS m ON m.oid = c.oid
)
SELECT
    reads.view,
    n.nspname::text AS schema,
    c.relname::text AS name,
    c.relkind::text AS kind,
    reader.rolname::text AS reader,
    pg_catalog.has_any_column_privilege(reader.oid, c.oid, 'SELECT') AS readable,
    c.relrowsecurity
        AND NOT reader.rolsuper
        AND NOT reader.rolbypassrls
        AND (
            c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(reader.oid, c.relowner, 'USAGE')
        )
        AND NOT (policies.admit AND NOT policies.restrict) AS filtered,
    c.relforcerowsecurity AS forced,
    c.relrowsecurity AS row_security,
    pg_catalog.has_table_privilege(c.oid, 'SELECT')
        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS lockable,
    pg_catalog.has_table_privilege(c.oid, 'TRIGGER') AS triggerable
FROM reads
JOIN pg_catalog.pg_class AS c ON c.oid = reads.oid AND c.relkind IN ('r', 'p', 'f', 'm', 'v')
JOIN pg_catalog.pg_namespace AS n
    ON n.oid = c.relnamespace
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.oid <> pg_catalog.pg_my_temp_schema()
JOIN pg_catalog.pg_roles AS reader ON reader.oid = reads.reader
CROSS JOIN LATERAL (
    SELECT
        coalesce(bool_or(p.polpermissive AND p.admits), false) AS admit,
        coalesce(bool_or(NOT p.polpermissive AND NOT p.admits), false) AS restrict
    FROM (
        SELECT
            policy.polpermissive,
            coalesce(
                pg_catalog.pg_get_expr(policy.polqual, policy.polrelid) = 'true', false
            ) AS admits
        FROM pg_catalog.pg_policy AS policy
        WHERE policy.polrelid = c.oid
            AND policy.polcmd IN ('r', '*')
            AND (
                0 = ANY (policy.polroles)
                OR EXISTS (
                    SELECT FROM unnest(policy.polroles) AS role (oid)
                    WHERE pg_catalog.pg_has_role(reader.oid, role.oid, 'USAGE')
                )
            )
    ) AS p
) AS policies
ORDER BY reads.view, n.nspname, c.relname, reader.rolname

-- name: temporary
-- description: Whether this role may keep temporary tables in this database.
SELECT
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY') AS keeps_temporary

-- name: unmanaged
-- description: Materialized views of nobody's configuration.
-- Those of extensions are theirs, and what apply builds beside others is marked by its comment.
SELECT n.nspname::text AS schema, c.relname::text AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'm'
    AND coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '')
        NOT LIKE 'refresher builds this beside %%'
    AND NOT EXISTS (
        SELECT FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name)
        WHERE w.schema = n.nspname AND w.name = c.relname
    )
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.objid = c.oid AND d.deptype = 'e'
    )
ORDER BY n.nspname, c.relname
