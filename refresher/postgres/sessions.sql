-- name: usability
-- description: Whether the server takes writes, and this role's transactions may make any; have the server end our own idle connections once we are gone.
SELECT
    pg_catalog.pg_is_in_recovery() AS replica,
    pg_catalog.current_setting('transaction_read_only')::bool AS read_only,
    CASE
        WHEN pg_catalog.pg_backend_pid() = %(backend)s THEN ARRAY[
            pg_catalog.set_config('tcp_keepalives_idle', '30', false),
            pg_catalog.set_config('tcp_keepalives_interval', '10', false),
            pg_catalog.set_config('tcp_keepalives_count', '3', false)
        ]
    END AS keepalives

-- name: hide_store
-- description: Until the transaction ends, look no name up in the store's own schema.
SELECT pg_catalog.set_config(
    'search_path',
    coalesce(string_agg(quote_ident(s.name), ', ' ORDER BY s.position), ''),
    true
)
FROM unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s (name, position)
WHERE s.name <> 'refresher'

-- name: watch_client
-- description: Have the server notice a client that vanished; some platforms can't.
SET LOCAL client_connection_check_interval = '1s'

-- name: backend
-- description: The process that serves this statement.
SELECT pg_catalog.pg_backend_pid() AS pid
