-- The customer list, all 43 columns of it. It starts from the metrics, whose index has the order
-- the list is shown in, so that a page costs its fifty rows and no more.
SELECT
    customers.id,
    customers.customer_number,
    customers.first_name || ' ' || customers.last_name AS name,
    customers.first_name,
    customers.last_name,
    customers.company,
    customers.vat_number,
    customers.language,
    customers.date_of_birth,
    customers.status,
    customers.account_manager,
    customers.marketing_consent,
    customers.notes,
    customers.created_at,
    customers.updated_at,
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
    metrics.source,
    coalesce(metrics.customer_since, customers.created_at) AS customer_since
FROM customer_engagement_metrics AS metrics
JOIN customer_profiles AS customers ON customers.id = metrics.customer_id
LEFT JOIN LATERAL (
    SELECT
        (array_agg(trim(email) ORDER BY is_primary DESC, id))[1] AS email,
        (array_agg(verified ORDER BY is_primary DESC, id))[1] AS email_verified,
        array_agg(trim(email) ORDER BY is_primary DESC, id) AS emails,
        count(*) AS email_count
    FROM customer_emails
    WHERE customer_id = customers.id
) AS emails ON true
LEFT JOIN LATERAL (
    SELECT
        (array_agg(phone ORDER BY is_primary DESC, id))[1] AS phone,
        (array_agg(kind ORDER BY is_primary DESC, id))[1] AS phone_kind,
        array_agg(phone ORDER BY is_primary DESC, id) AS phones
    FROM customer_phones
    WHERE customer_id = customers.id
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
    WHERE customer_id = customers.id
    ORDER BY is_default DESC, id
    LIMIT 1
) AS address ON true
LEFT JOIN LATERAL (
    SELECT coalesce(array_agg(segment.name ORDER BY segment.name), '{}') AS customer_segments
    FROM customer_segment_links AS link
    JOIN segments AS segment ON segment.id = link.segment_id
    WHERE link.customer_id = customers.id
) AS segments ON true
