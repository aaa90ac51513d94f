-- name: copy
-- description: The columns as they are in the table, of the rows that are somebody's.
CREATE TEMPORARY TABLE refresher_filled ON COMMIT DROP AS
SELECT {names} FROM {table} AS t WHERE {has_key} {sampled}

-- name: shape
-- description: Room for what they should be, in the table's own types.
CREATE TEMPORARY TABLE refresher_wanted ON COMMIT DROP AS
TABLE pg_temp.refresher_filled WITH NO DATA

-- name: want
-- description: What they should be. Assigned, for a cast would cut what is too long in silence.
INSERT INTO pg_temp.refresher_wanted ({names})
SELECT {wanted} FROM pg_temp.refresher_filled AS t LEFT JOIN {query} AS n ON {match}

-- name: index
-- description: Sampled rows are looked up one by one.
CREATE INDEX ON pg_temp.refresher_wanted ({key_names})

-- name: analyze
-- description: A temporary table has no statistics of its own accord.
ANALYZE pg_temp.refresher_filled, pg_temp.refresher_wanted
