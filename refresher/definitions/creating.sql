-- name: may_create
-- description: Whether a role may create relations in the store's schema.
SELECT pg_catalog.has_schema_privilege(%(role)s, 'refresher', 'CREATE') AS may_create
