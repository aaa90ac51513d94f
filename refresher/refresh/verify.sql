-- name: take_fence
-- description: The fence, or 55P03 at once; the snapshot is taken here. And what its contents are.
WITH free AS MATERIALIZED (
    SELECT f.view FROM refresher.fence AS f WHERE f.view = %(view)s FOR NO KEY UPDATE NOWAIT
)
SELECT
    EXISTS (SELECT FROM free) AS fence,
    EXISTS (SELECT FROM refresher.filling AS i WHERE i.view = %(view)s) AS filling,
    transaction_timestamp() AS compared_at,
    s.view IS NOT NULL AS refreshed,
    s.as_of
FROM (VALUES (1)) AS always
LEFT JOIN refresher.contents AS s ON s.view = %(view)s AND s.relation = %(relation)s

-- name: search_path
-- description: What names without a schema mean in this transaction.
SELECT current_setting('search_path') AS search_path

-- name: set_search_path
-- description: Let names without a schema mean something else until the transaction ends.
SELECT set_config('search_path', %(search_path)s, true)

-- name: definition
-- description: A materialized view's query, and whether a view of ours can be given to its owner.
SELECT
    pg_get_viewdef(c.oid) AS query,
    pg_get_userbyid(c.relowner)::text AS owner,
    pg_has_role(c.relowner, 'USAGE')
        AND has_database_privilege(c.relowner, current_database(), 'TEMP') AS can_be_given
FROM pg_class AS c
WHERE c.oid = %(relation)s

-- name: definition
-- description: The same where a member of a role may not be allowed to become it.
-- from: 16
SELECT
    pg_get_viewdef(c.oid) AS query,
    pg_get_userbyid(c.relowner)::text AS owner,
    pg_has_role(c.relowner, 'USAGE') AND pg_has_role(c.relowner, 'SET')
        AND has_database_privilege(c.relowner, current_database(), 'TEMP') AS can_be_given
FROM pg_class AS c
WHERE c.oid = %(relation)s

-- name: sample_keys
-- description: Some keys of the contents, each as likely as any other.
CREATE TEMPORARY TABLE refresher_key ON COMMIT DROP AS
SELECT {key} FROM {table} AS n ORDER BY random() LIMIT {sample}

-- name: analyze_keys
-- description: A temporary table has no statistics of its own accord.
ANALYZE pg_temp.refresher_key

-- name: compute_sampled
-- description: What the query returns for these keys, one by one, as the view would store it.
-- With OFFSET 0 the key gets into GROUP BY and DISTINCT ON; as a join it would not.
CREATE TEMPORARY TABLE refresher_new ON COMMIT DROP AS
SELECT {outputs}
FROM (
    SELECT found.*
    FROM pg_temp.refresher_key AS k
    CROSS JOIN LATERAL (SELECT * FROM {query} AS v WHERE {singled_out} OFFSET 0) AS found
) AS q

-- name: compare_sampled
-- description: Where a row is in the view and in what is new, if its image differs or it has gone.
CREATE TEMPORARY TABLE refresher_difference ON COMMIT DROP AS
SELECT t.ctid AS old, n.ctid AS new
FROM pg_temp.refresher_key AS k
JOIN {table} AS t ON {sampled}
LEFT JOIN pg_temp.refresher_new AS n ON {match}
WHERE n.ctid IS NULL OR t.* OPERATOR(pg_catalog.*<>) n.*

-- name: forget_keys
-- description: Another sample may be taken in the same transaction.
DROP TABLE pg_temp.refresher_key

-- name: count_rows
-- description: How many rows a relation has.
SELECT count(*) AS rows FROM {relation}

-- name: count_differences
-- description: How many rows differ, and in which way.
SELECT
    count(*) FILTER (WHERE old IS NOT NULL AND new IS NOT NULL) AS changed,
    count(*) FILTER (WHERE old IS NULL) AS missing,
    count(*) FILTER (WHERE new IS NULL) AS extra
FROM pg_temp.refresher_difference

-- name: differences
-- description: The first rows that differ, in the order of their keys; whole images, as text.
SELECT
    CASE WHEN d.old IS NULL THEN 'missing' WHEN d.new IS NULL THEN 'extra' ELSE 'changed' END
        AS kind,
    {key_texts} AS key,
    {old_texts} AS in_view,
    {new_texts} AS in_query,
    {differing} AS differing
FROM pg_temp.refresher_difference AS d
LEFT JOIN {table} AS t ON t.ctid = d.old
LEFT JOIN pg_temp.refresher_new AS n ON n.ctid = d.new
ORDER BY {order}
LIMIT {limit}
