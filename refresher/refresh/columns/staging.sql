-- name: read_filled
-- description: What the columns hold where there is no value, and how strongly a row must be locked.
-- To change a column of a unique index takes the lock that foreign keys to the row wait for.
SELECT
    array_agg(type.name ORDER BY wanted.position) AS types,
    array_agg('CAST(' || value.expression || ' AS ' || type.name || ')' ORDER BY wanted.position)
        AS defaults,
    bool_or(EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey)
    )) AS identifying,
    bool_and(pg_catalog.has_table_privilege(a.attrelid, 'SELECT')) AS located
FROM unnest(%(columns)s::text[]) WITH ORDINALITY AS wanted (name, position)
JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = format('%%I.%%I', %(schema)s::text, %(name)s::text)::regclass
        AND a.attname = wanted.name
        AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
CROSS JOIN pg_catalog.format_type(a.atttypid, a.atttypmod) AS type (name)
-- A domain has a default for columns that have none.
CROSS JOIN coalesce(
    pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.pg_get_expr(y.typdefaultbin, 0)
) AS value (expression)

-- name: shape
-- description: Room for what the query returns, in the table's own types.
CREATE TEMPORARY TABLE refresher_new ON COMMIT DROP AS SELECT {names} FROM {table} WITH NO DATA

-- name: compute
-- description: What the query returns now. Assigned, for a cast would cut what is too long in silence.
INSERT INTO pg_temp.refresher_new ({names}) SELECT {names} FROM {query} AS q

-- name: analyze_new
-- description: A temporary table has no statistics of its own accord.
ANALYZE pg_temp.refresher_new

-- name: drop_stage
-- description: What an earlier run left is of no use: what it wrote does not differ any more.
DROP TABLE IF EXISTS {stage}

-- name: stage
-- description: The rows of the table whose image differs from what it should be, in their order there.
-- Where they are only a role may ask that may SELECT from the whole table; others go by the key.
-- A row without a whole key is nobody's. Images, not values: 1.0 and 1.00 are equal. Autovacuum
-- would hold up the DROP for longer than a batch waits, and has nothing to gain here.
CREATE UNLOGGED TABLE {stage}
WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false) AS
SELECT row_number() OVER (ORDER BY {order}) AS number, {staged}
FROM (
    SELECT {located_old_and_new}
    FROM {table} AS t
    LEFT JOIN pg_temp.refresher_new AS n ON {match}
    WHERE {has_key}
) AS w
WHERE ROW({old})::record OPERATOR(pg_catalog.*<>) ROW({new})::record

-- name: number_stage
-- description: Batches are ranges of numbers.
ALTER TABLE {stage} ADD PRIMARY KEY (number)

-- name: analyze_stage
-- description: So that a batch is looked up in the table by its key.
ANALYZE {stage}

-- name: count_stage
-- description: How many rows there are to write.
SELECT count(*) AS rows FROM {stage}
