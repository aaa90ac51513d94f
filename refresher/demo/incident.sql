-- The view that took the list down, as the third fix attempt left it: every other column already
-- comes from an indexed LATERAL join, but source and customer_since still ask customer_orders_v
-- once for each of all the customers.
--
-- Its own ORDER BY, as many lists carry one, makes PostgreSQL work out every row before the page
-- that was asked for is cut from them. count(*) needs none of the columns, so it looks healthy.
CREATE VIEW customers_crm_v AS
SELECT
    cp.id,
    cp.customer_number,
    cp.first_name || ' ' || cp.last_name AS name,
    cp.first_name,
    cp.last_name,
    cp.company,
    cp.vat_number,
    cp.language,
    cp.date_of_birth,
    cp.status,
    cp.account_manager,
    cp.marketing_consent,
    cp.notes,
    cp.created_at,
    cp.updated_at,
    emails.email,
    emails.email_verified,
    emails.emails,
    emails.email_count,
    phones.phone,
    phones.phone_kind,
    phones.phones,
    address.street,
    address.house_number,
    address.postal_code,
    address.city,
    address.region,
    address.country,
    address.address_count,
    metrics.first_seen_at,
    metrics.last_seen_at,
    metrics.total_orders,
    metrics.total_spent,
    round(metrics.total_spent / nullif(metrics.total_orders, 0), 2) AS average_order_value,
    metrics.first_order_date,
    metrics.last_order_date,
    metrics.total_tickets,
    metrics.open_tickets,
    metrics.last_ticket_at,
    metrics.engagement_score,
    segments.customer_segments,
    (
        SELECT source
        FROM customer_orders_v
        WHERE LOWER(TRIM(email)) IN (
            SELECT LOWER(TRIM(email)) FROM customer_emails WHERE customer_id = cp.id
        )
        ORDER BY ordered_at ASC
        LIMIT 1
    ) AS source,
    COALESCE(
        (
            SELECT MIN(ordered_at)
            FROM customer_orders_v
            WHERE LOWER(TRIM(email)) IN (
                SELECT LOWER(TRIM(email)) FROM customer_emails WHERE customer_id = cp.id
            )
        ),
        cp.created_at
    ) AS customer_since
FROM customer_profiles AS cp
LEFT JOIN customer_engagement_metrics AS metrics ON metrics.customer_id = cp.id
LEFT JOIN LATERAL (
    SELECT
        (array_agg(trim(email) ORDER BY is_primary DESC, id))[1] AS email,
        (array_agg(verified ORDER BY is_primary DESC, id))[1] AS email_verified,
        array_agg(trim(email) ORDER BY is_primary DESC, id) AS emails,
        count(*) AS email_count
    FROM customer_emails
    WHERE customer_id = cp.id
) AS emails ON true
LEFT JOIN LATERAL (
    SELECT
        (array_agg(phone ORDER BY is_primary DESC, id))[1] AS phone,
        (array_agg(kind ORDER BY is_primary DESC, id))[1] AS phone_kind,
        array_agg(phone ORDER BY is_primary DESC, id) AS phones
    FROM customer_phones
    WHERE customer_id = cp.id
) AS phones ON true
LEFT JOIN LATERAL (
    SELECT
        street,
        house_number,
        postal_code,
        city,
        region,
        country,
        count(*) OVER () AS address_count
    FROM customer_addresses
    WHERE customer_id = cp.id
    ORDER BY is_default DESC, id
    LIMIT 1
) AS address ON true
LEFT JOIN LATERAL (
    SELECT coalesce(array_agg(segment.name ORDER BY segment.name), '{}') AS customer_segments
    FROM customer_segment_links AS link
    JOIN segments AS segment ON segment.id = link.segment_id
    WHERE link.customer_id = cp.id
) AS segments ON true
ORDER BY cp.created_at DESC;

GRANT SELECT ON customer_orders_v, customers_crm_v TO authenticator, service_role;
