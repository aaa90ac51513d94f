-- Where each customer came from, and since when: the source and time of their first order.
-- One row for every customer. Set-based: orders are read once, not once for each customer.
WITH addresses AS (
    -- One customer may have typed one address twice, in different ways.
    SELECT DISTINCT customer_id, lower(trim(email)) AS email
    FROM customer_emails
),
first_orders AS (
    SELECT DISTINCT ON (addresses.customer_id)
        addresses.customer_id,
        orders.source,
        orders.ordered_at
    FROM addresses
    JOIN customer_orders_v AS orders ON lower(trim(orders.email)) = addresses.email
    ORDER BY addresses.customer_id, orders.ordered_at, orders.channel, orders.order_number
)
SELECT
    customers.id AS customer_id,
    first_orders.source,
    coalesce(first_orders.ordered_at, customers.created_at) AS customer_since
FROM customer_profiles AS customers
LEFT JOIN first_orders ON first_orders.customer_id = customers.id
