-- Every table, index and materialized view outside the system catalogs, and its size.
SELECT
    namespaces.nspname::text AS schema_name,
    relations.relname::text AS relation_name,
    relations.relkind::text AS relation_kind,
    pg_catalog.pg_total_relation_size(relations.oid) AS total_bytes
FROM pg_catalog.pg_class AS relations
JOIN pg_catalog.pg_namespace AS namespaces ON namespaces.oid = relations.relnamespace
WHERE relations.relkind IN ('r', 'm', 'i')
  AND namespaces.nspname NOT LIKE 'pg\_%'
  AND namespaces.nspname <> 'information_schema'
