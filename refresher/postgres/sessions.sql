-- name: usability
-- description: Whether the server takes writes, and whether this role's transactions may make any.
SELECT
    pg_catalog.pg_is_in_recovery() AS replica,
    pg_catalog.current_setting('transaction_read_only')::bool AS read_only

-- name: watch_client
-- description: Have the server notice a client that vanished; some platforms can't.
SET LOCAL client_connection_check_interval = '1s'
