-- What customer_engagement_metrics is to hold of each customer's beginnings.
SELECT customer_id, source, customer_since
FROM customer_sources
