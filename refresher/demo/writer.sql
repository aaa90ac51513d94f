-- name: place_order
-- description: One order on the web, and the customer's metrics, as the shop itself writes them.
WITH buyer AS (
    SELECT customer_id, email
    FROM customer_emails
    WHERE is_primary AND customer_id = 1 + mod(
        hashint8extended(%(number)s::bigint, 100) & 9223372036854775807,
        %(customers)s::bigint
    )
), placed AS (
    INSERT INTO web_orders (customer_email, utm_source, state, placed_at)
    SELECT email, 'newsletter', 'completed', clock_timestamp()
    FROM buyer
    RETURNING id, placed_at
), item AS (
    INSERT INTO web_order_items (order_id, line, sku, quantity, unit_price)
    SELECT id, 1, 'A0001', 1, 19.95
    FROM placed
)
UPDATE customer_engagement_metrics AS metrics
SET total_orders = total_orders + 1,
    total_spent = total_spent + 19.95,
    first_order_date = coalesce(first_order_date, placed.placed_at),
    last_order_date = placed.placed_at,
    last_seen_at = placed.placed_at
FROM buyer
CROSS JOIN placed
WHERE metrics.customer_id = buyer.customer_id
