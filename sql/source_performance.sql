-- What each source brings in: the customers it won, and everything sold through it.
SELECT
    source,
    coalesce(won.customers, 0) AS customers,
    coalesce(sold.orders, 0) AS orders,
    coalesce(sold.revenue, 0) AS revenue,
    sold.last_order_at
FROM (
    SELECT source, count(*) AS customers
    FROM customer_sources
    WHERE source IS NOT NULL
    GROUP BY source
) AS won
FULL JOIN (
    SELECT source, count(*) AS orders, sum(total) AS revenue, max(ordered_at) AS last_order_at
    FROM customer_orders_v
    GROUP BY source
) AS sold USING (source)
