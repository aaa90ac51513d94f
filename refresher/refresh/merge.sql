-- name: compute
-- description: What a table's query returns now, as the table would store it.
CREATE TEMPORARY TABLE refresher_new ON COMMIT DROP AS SELECT {outputs} FROM {query} AS q

-- name: analyze_new
-- description: A temporary table has no statistics of its own accord.
ANALYZE pg_temp.refresher_new

-- name: count
-- description: How many rows there are, and how many that nothing could tell apart.
SELECT count(*) AS rows, count(*) FILTER (WHERE {null}) AS without_key FROM pg_temp.refresher_new

-- name: balance
-- description: How many rows the table has, and how many have nothing to meet on either side.
SELECT
    (SELECT count(*) FROM {table}) AS rows,
    count(*) FILTER (WHERE d.new IS NULL) AS vanished,
    count(*) FILTER (WHERE d.old IS NULL) AS added
FROM pg_temp.refresher_difference AS d

-- name: repeated_added
-- description: Whether more than one of the rows that the table lacks has the same key.
SELECT
FROM pg_temp.refresher_difference AS d
JOIN pg_temp.refresher_new AS n ON n.ctid = d.new
WHERE d.old IS NULL
GROUP BY {key}
HAVING count(*) > 1
LIMIT 1

-- name: repeated
-- description: Keys that more than one row has, the most frequent first, and how many these are.
SELECT
    {key_texts} AS key,
    count(*) OVER () AS keys,
    (SELECT count(*) FROM pg_temp.refresher_new) AS all_rows
FROM pg_temp.refresher_new AS n
GROUP BY {key}
HAVING count(*) > 1
ORDER BY count(*) DESC, key
LIMIT 3

-- name: with_null
-- description: Some of the rows whose key is null, by their whole keys.
SELECT {key_texts} AS key FROM pg_temp.refresher_new AS n WHERE {null} ORDER BY key LIMIT 3

-- name: compare
-- description: Where a row is in the table and in what is new, if its image differs or only one has it.
-- Images, not values: 1.0 and 1.00 are equal, and so is much of citext.
CREATE TEMPORARY TABLE refresher_difference ON COMMIT DROP AS
SELECT t.ctid AS old, n.ctid AS new
FROM {table} AS t
FULL JOIN pg_temp.refresher_new AS n ON {match}
WHERE t.ctid IS NULL OR n.ctid IS NULL OR t.* OPERATOR(pg_catalog.*<>) n.*

-- name: analyze_difference
-- description: So that few rows are looked up, and many are joined.
ANALYZE pg_temp.refresher_difference

-- name: delete
-- description: Rows whose key is not among the new ones any more.
DELETE FROM {table} AS t
USING pg_temp.refresher_difference AS d
WHERE t.ctid = d.old AND {gone}

-- name: update
-- description: Rows whose image is another one.
UPDATE {table} AS t
SET {assignments}
FROM pg_temp.refresher_difference AS d
JOIN pg_temp.refresher_new AS n ON n.ctid = d.new
WHERE t.ctid = d.old

-- name: insert
-- description: Rows that the table lacks.
INSERT INTO {table} ({columns})
SELECT {values}
FROM pg_temp.refresher_difference AS d
JOIN pg_temp.refresher_new AS n ON n.ctid = d.new
WHERE {missing}

-- name: forget
-- description: Another table may be merged in the same transaction.
DROP TABLE pg_temp.refresher_difference, pg_temp.refresher_new

-- name: fill
-- description: The first contents of a table that nobody reads yet.
INSERT INTO {table} ({columns}) SELECT {outputs} FROM {query} AS q
