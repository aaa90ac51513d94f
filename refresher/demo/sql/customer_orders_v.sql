-- Every order of every channel, in one vocabulary. A plain view: nothing to refresh.
SELECT
    'web' AS channel,
    orders.id::text AS order_number,
    orders.customer_email AS email,
    coalesce(orders.utm_source, 'direct') AS source,
    orders.placed_at AS ordered_at,
    orders.state AS status,
    coalesce(items.items, 0) AS items,
    coalesce(items.total, 0) AS total
FROM web_orders AS orders
LEFT JOIN (
    SELECT order_id, sum(quantity) AS items, sum(quantity * unit_price) AS total
    FROM web_order_items
    GROUP BY order_id
) AS items ON items.order_id = orders.id

UNION ALL

SELECT
    'store',
    orders.receipt_number,
    orders.receipt_email,
    'store',
    orders.sold_at,
    CASE WHEN orders.returned THEN 'returned' ELSE 'completed' END,
    coalesce(items.items, 0),
    coalesce(items.total, 0)
FROM store_orders AS orders
LEFT JOIN (
    SELECT receipt_number, sum(pieces) AS items, sum(amount) AS total
    FROM store_order_lines
    GROUP BY receipt_number
) AS items ON items.receipt_number = orders.receipt_number

UNION ALL

SELECT
    'marketplace',
    orders.marketplace || ' ' || orders.marketplace_order_id,
    orders.buyer_email,
    orders.marketplace,
    orders.purchased_at,
    orders.order_status,
    coalesce(items.items, 0),
    coalesce(items.total, 0)
FROM marketplace_orders AS orders
LEFT JOIN (
    SELECT
        marketplace,
        marketplace_order_id,
        sum(quantity_ordered) AS items,
        sum(quantity_ordered * item_price) AS total
    FROM marketplace_order_items
    GROUP BY marketplace, marketplace_order_id
) AS items
    ON items.marketplace = orders.marketplace
    AND items.marketplace_order_id = orders.marketplace_order_id

UNION ALL

SELECT
    'phone',
    orders.call_id::text,
    orders.caller_email,
    'phone',
    orders.called_at,
    CASE WHEN orders.cancelled THEN 'cancelled' ELSE 'completed' END,
    coalesce(items.items, 0),
    coalesce(items.total, 0)
FROM phone_orders AS orders
LEFT JOIN (
    SELECT call_id, sum(quantity) AS items, round(sum(quantity * price_cents) / 100, 2) AS total
    FROM phone_order_items
    GROUP BY call_id
) AS items ON items.call_id = orders.call_id
