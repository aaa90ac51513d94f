-- name: extended_statistics
-- description: Whether a relation has statistics objects, which are empty until it is analyzed.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_statistic_ext AS s WHERE s.stxrelid = %(relation)s::pg_catalog.regclass
) AS present
