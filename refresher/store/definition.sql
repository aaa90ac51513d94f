-- name: present
-- description: Whether this database has a store that knows of definitions.
SELECT pg_catalog.to_regclass('refresher.definition') IS NOT NULL AS present

-- name: applied
-- description: Views that were applied.
SELECT view, schema_name AS schema, relation_name AS name, changed_at
FROM refresher.definition
ORDER BY view

-- name: former
-- description: Where views of these names were when a configuration had them.
SELECT v.name AS view, v.schema_name AS schema, v.relation_name AS name
FROM refresher.view AS v
WHERE v.name = ANY (%(views)s)
UNION
SELECT d.view, d.schema_name, d.relation_name
FROM refresher.definition AS d
WHERE d.view = ANY (%(views)s)

-- name: record
-- description: These views have been applied; unchanged rows are not written.
INSERT INTO refresher.definition AS d (view, schema_name, relation_name)
SELECT w.view, w.schema_name, w.relation_name
FROM unnest(%(views)s::text[], %(schemas)s::text[], %(names)s::text[])
    AS w (view, schema_name, relation_name)
ORDER BY w.view
ON CONFLICT (view) DO UPDATE SET
    schema_name = excluded.schema_name,
    relation_name = excluded.relation_name,
    applied_at = clock_timestamp()
WHERE (d.schema_name, d.relation_name) IS DISTINCT FROM
    (excluded.schema_name, excluded.relation_name)

-- name: change
-- description: What becomes of views at this moment: another query, or built on what stands now.
INSERT INTO refresher.definition AS d (view, schema_name, relation_name, changed_at, built_at)
SELECT
    w.view, w.schema_name, w.relation_name,
    CASE WHEN w.view = ANY (%(changed)s) THEN now.at END,
    CASE WHEN w.view = ANY (%(built)s) THEN now.at END
FROM unnest(%(views)s::text[], %(schemas)s::text[], %(names)s::text[])
    AS w (view, schema_name, relation_name)
CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) AS now
ORDER BY w.view
ON CONFLICT (view) DO UPDATE SET
    applied_at = clock_timestamp(),
    changed_at = coalesce(excluded.changed_at, d.changed_at),
    built_at = coalesce(excluded.built_at, d.built_at)

-- name: contents
-- description: As of when the contents that stand are, and the definitions they were computed by.
SELECT s.view, greatest(s.as_of, d.built_at) AS at
FROM refresher.state AS s
LEFT JOIN refresher.definition AS d ON d.view = s.view
JOIN refresher.view AS v ON v.name = s.view
JOIN pg_catalog.pg_namespace AS n ON n.nspname = v.schema_name
JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = n.oid AND c.relname = v.relation_name AND c.oid = s.relation
WHERE s.view = ANY (%(views)s)

-- name: forget
-- description: A view is no more: nothing is known of it from now on.
WITH named AS (SELECT %(view)s::text AS view),
    d AS (DELETE FROM refresher.definition USING named WHERE definition.view = named.view),
    v AS (DELETE FROM refresher.view USING named WHERE view.name = named.view),
    s AS (DELETE FROM refresher.state USING named WHERE state.view = named.view),
    r AS (DELETE FROM refresher.run USING named WHERE run.view = named.view),
    t AS (DELETE FROM refresher.tally USING named WHERE tally.view = named.view),
    p AS (DELETE FROM refresher.pause USING named WHERE pause.view = named.view),
    q AS (DELETE FROM refresher.request USING named WHERE request.view = named.view),
    l AS (DELETE FROM refresher.look USING named WHERE look.view = named.view),
    f AS (DELETE FROM refresher.drift USING named WHERE drift.view = named.view),
    o AS (DELETE FROM refresher.outside USING named WHERE outside.view = named.view),
    c AS (DELETE FROM refresher.verdict USING named WHERE verdict.view = named.view)
DELETE FROM refresher.fence USING named WHERE fence.view = named.view

-- name: rename
-- description: A view goes by another name, with all that is known of it.
WITH named AS (SELECT %(before)s::text AS before, %(after)s::text AS after),
    d AS (
        UPDATE refresher.definition SET view = named.after FROM named
        WHERE definition.view = named.before
    ),
    v AS (UPDATE refresher.view SET name = named.after FROM named WHERE view.name = named.before),
    s AS (UPDATE refresher.state SET view = named.after FROM named WHERE state.view = named.before),
    r AS (UPDATE refresher.run SET view = named.after FROM named WHERE run.view = named.before),
    t AS (UPDATE refresher.tally SET view = named.after FROM named WHERE tally.view = named.before),
    p AS (UPDATE refresher.pause SET view = named.after FROM named WHERE pause.view = named.before),
    l AS (DELETE FROM refresher.look USING named WHERE look.view = named.before),
    g AS (DELETE FROM refresher.drift USING named WHERE drift.view = named.before),
    o AS (
        UPDATE refresher.outside SET view = named.after FROM named
        WHERE outside.view = named.before
    ),
    c AS (
        UPDATE refresher.verdict SET view = named.after FROM named
        WHERE verdict.view = named.before
    )
UPDATE refresher.fence SET view = named.after FROM named WHERE fence.view = named.before

-- name: clear
-- description: What is known of the new name, before something renamed takes it.
WITH named AS (SELECT %(view)s::text AS view),
    d AS (DELETE FROM refresher.definition USING named WHERE definition.view = named.view),
    v AS (DELETE FROM refresher.view USING named WHERE view.name = named.view),
    s AS (DELETE FROM refresher.state USING named WHERE state.view = named.view),
    t AS (DELETE FROM refresher.tally USING named WHERE tally.view = named.view),
    p AS (DELETE FROM refresher.pause USING named WHERE pause.view = named.view),
    o AS (DELETE FROM refresher.outside USING named WHERE outside.view = named.view),
    c AS (DELETE FROM refresher.verdict USING named WHERE verdict.view = named.view)
DELETE FROM refresher.fence USING named WHERE fence.view = named.view
