-- name: choice
-- description: how things are chosen
-- The same choice for the same thing on every server, every time: a hash, never random(). The salt
-- tells the choices about one thing apart. hashint8extended() decides the partitions of hashed
-- tables, so its values may not change between PostgreSQL versions.
CREATE FUNCTION pg_temp.choice(thing bigint, salt bigint, choices bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN mod(hashint8extended(thing, salt) & 9223372036854775807, choices);

-- name: customer_profiles
-- description: customers
INSERT INTO customer_profiles
SELECT
    id,
    'C' || lpad(id::text, 7, '0'),
    (ARRAY[
        'Anna', 'Bram', 'Chris', 'Daan', 'Emma', 'Finn', 'Greta', 'Hugo', 'Iris', 'Jan', 'Karin',
        'Lars', 'Maria', 'Noah', 'Olga', 'Peter', 'Rosa', 'Sam', 'Tess', 'Vera', 'Wout', 'Zoe'
    ])[1 + pg_temp.choice(id, 1, 22)],
    (ARRAY[
        'Bakker', 'Bos', 'Brouwer', 'Dekker', 'Dijk', 'Graaf', 'Groot', 'Haan', 'Jansen', 'Koster',
        'Meijer', 'Mulder', 'Peters', 'Prins', 'Smit', 'Veenstra', 'Visser', 'Vos', 'Vries', 'Wal'
    ])[1 + pg_temp.choice(id, 2, 20)],
    CASE WHEN pg_temp.choice(id, 3, 8) = 0 THEN 'Company ' || id END,
    CASE WHEN pg_temp.choice(id, 3, 8) = 0 THEN 'NL' || lpad(id::text, 9, '0') || 'B01' END,
    (ARRAY['nl', 'nl', 'nl', 'en', 'de', 'fr'])[1 + pg_temp.choice(id, 4, 6)],
    CASE WHEN pg_temp.choice(id, 5, 3) > 0
        THEN date '1950-01-01' + pg_temp.choice(id, 6, 20000)::integer END,
    (ARRAY['active', 'active', 'active', 'inactive', 'blocked'])[1 + pg_temp.choice(id, 7, 5)],
    (ARRAY['Eva', 'Mo', 'Sanne', NULL])[1 + pg_temp.choice(id, 8, 4)],
    pg_temp.choice(id, 9, 2) = 0,
    CASE WHEN pg_temp.choice(id, 10, 20) = 0 THEN 'Call back after the holidays' END,
    created_at,
    created_at + (%(today)s::timestamptz - created_at) / 2
FROM (
    SELECT
        id,
        %(today)s::timestamptz - interval '1 second' * (86400 + pg_temp.choice(id, 11, 157680000))
            AS created_at
    FROM generate_series(1, %(customers)s::bigint) AS id
) AS customers;

-- name: customer_emails
-- description: e-mail addresses, as people typed them
INSERT INTO customer_emails (customer_id, email, is_primary, verified)
SELECT
    id,
    CASE pg_temp.choice(id * 3 + nth, 12, 5)
        WHEN 0 THEN initcap(email)
        WHEN 1 THEN upper(email)
        WHEN 2 THEN ' ' || email
        WHEN 3 THEN email || '  '
        ELSE email
    END,
    nth = 1,
    pg_temp.choice(id * 3 + nth, 13, 4) > 0
FROM (
    SELECT
        id,
        nth,
        lower(first_name || '.' || last_name) || id || CASE
            -- The second address is another one; the third is the first again, typed differently.
            WHEN nth = 2 THEN '@work.example'
            ELSE '@mail.example'
        END AS email
    FROM customer_profiles
    CROSS JOIN LATERAL generate_series(1, 1 + pg_temp.choice(id, 14, 3)) AS nth
) AS addresses
ORDER BY id, nth;

-- name: customer_phones
-- description: phone numbers
INSERT INTO customer_phones (customer_id, phone, kind, is_primary)
SELECT
    id,
    '+31 6 ' || lpad(pg_temp.choice(id * 2 + nth, 15, 100000000)::text, 8, '0'),
    CASE nth WHEN 1 THEN 'mobile' ELSE 'work' END,
    nth = 1
FROM customer_profiles
CROSS JOIN LATERAL generate_series(1, pg_temp.choice(id, 16, 3)) AS nth
ORDER BY id, nth;

-- name: customer_addresses
-- description: postal addresses
INSERT INTO customer_addresses (
    customer_id, street, house_number, postal_code, city, region, country, is_default
)
SELECT
    id,
    (ARRAY['Dorpsstraat', 'Kerkstraat', 'Molenweg', 'Stationsweg'])
        [1 + pg_temp.choice(place, 17, 4)],
    (1 + pg_temp.choice(place, 18, 250))::text,
    (1000 + pg_temp.choice(place, 19, 9000))::text || ' AB',
    (ARRAY['Amsterdam', 'Groningen', 'Rotterdam', 'Utrecht'])[1 + pg_temp.choice(place, 20, 4)],
    (ARRAY['Noord-Holland', 'Groningen', 'Zuid-Holland', 'Utrecht'])
        [1 + pg_temp.choice(place, 20, 4)],
    'NL',
    nth = 1
FROM (
    SELECT id, nth, id * 2 + nth AS place
    FROM customer_profiles
    CROSS JOIN LATERAL generate_series(1, 1 + pg_temp.choice(id, 21, 2)) AS nth
) AS places
ORDER BY id, nth;

-- name: segments
-- description: segments
INSERT INTO segments
SELECT id, name
FROM unnest(ARRAY[
    'At risk', 'Beta testers', 'Dormant', 'Local pickup', 'New', 'Newsletter', 'VIP', 'Wholesale'
]) WITH ORDINALITY AS named (name, id);

-- name: customer_segment_links
-- description: segment assignments
INSERT INTO customer_segment_links
SELECT customers.id, segments.id
FROM customer_profiles AS customers
CROSS JOIN segments
WHERE pg_temp.choice(customers.id * 8 + segments.id, 22, 4) = 0;

-- name: orders
-- description: orders, not yet spread over the channels
-- Every fourth customer has never ordered, and some ordered before they had a profile. Microseconds
-- make every order's time its own, so that "the first order" is always one order.
CREATE TEMPORARY TABLE bought ON COMMIT DROP AS
SELECT
    bought.id,
    CASE pg_temp.choice(bought.id, 23, 5)
        WHEN 0 THEN upper(email)
        WHEN 1 THEN email || ' '
        WHEN 2 THEN initcap(trim(email))
        ELSE email
    END AS email,
    created_at
        - interval '30 days'
        + interval '1 second' * pg_temp.choice(
            bought.id,
            24,
            extract(epoch FROM %(today)s::timestamptz - created_at)::bigint + 30 * 86400
        )
        + interval '1 microsecond' * mod(bought.id, 1000000) AS at,
    (ARRAY['web', 'web', 'web', 'web', 'store', 'store', 'store', 'market', 'market', 'phone'])
        [1 + pg_temp.choice(bought.id, 25, 10)] AS channel,
    1 + pg_temp.choice(bought.id, 26, 3) AS items
FROM (
    SELECT
        id,
        -- The lesser of two choices: some customers order often, others once.
        least(
            pg_temp.choice(id, 27, (%(customers)s::bigint * 3 + 3) / 4),
            pg_temp.choice(id, 28, (%(customers)s::bigint * 3 + 3) / 4)
        ) AS buyer
    FROM generate_series(1, %(customers)s::bigint * 4) AS id
) AS bought
JOIN customer_profiles AS customers ON customers.id = 1 + bought.buyer + bought.buyer / 3
JOIN (
    SELECT customer_id, array_agg(email ORDER BY id) AS emails
    FROM customer_emails
    GROUP BY customer_id
) AS addresses ON addresses.customer_id = customers.id
CROSS JOIN LATERAL (
    SELECT
        addresses.emails[1 + pg_temp.choice(bought.id, 29, cardinality(addresses.emails))] AS email
) AS typed;

-- name: order_items
-- description: what was ordered, not yet spread over the channels
CREATE TEMPORARY TABLE bought_items ON COMMIT DROP AS
SELECT
    id,
    channel,
    line::integer,
    'A' || lpad(pg_temp.choice(id * 3 + line, 30, 500)::text, 4, '0') AS article,
    1 + pg_temp.choice(id * 3 + line, 31, 3)::integer AS quantity,
    199 + 50 * pg_temp.choice(id * 3 + line, 32, 400) AS cents
FROM bought
CROSS JOIN LATERAL generate_series(1, items) AS line;

-- name: web_orders
-- description: orders on the web
INSERT INTO web_orders
SELECT
    id,
    email,
    (ARRAY['google', 'google', 'newsletter', 'instagram', NULL])[1 + pg_temp.choice(id, 33, 5)],
    (ARRAY['completed', 'completed', 'completed', 'refunded'])[1 + pg_temp.choice(id, 34, 4)],
    at
FROM bought
WHERE channel = 'web'
ORDER BY at;

-- name: web_order_numbers
-- description: the number of the next order on the web
SELECT setval(pg_get_serial_sequence('web_orders', 'id'), %(customers)s::bigint * 4);

-- name: web_order_items
-- description: items of orders on the web
INSERT INTO web_order_items
SELECT id, line, article, quantity, cents / 100.0 FROM bought_items WHERE channel = 'web';

-- name: store_orders
-- description: orders in the stores, many without an e-mail address
INSERT INTO store_orders
SELECT
    'R' || id,
    (ARRAY['Amsterdam', 'Utrecht', 'Groningen'])[1 + pg_temp.choice(id, 35, 3)],
    CASE WHEN pg_temp.choice(id, 36, 10) < 7 THEN email END,
    pg_temp.choice(id, 34, 20) = 0,
    at
FROM bought
WHERE channel = 'store'
ORDER BY at;

-- name: store_order_lines
-- description: lines of orders in the stores
INSERT INTO store_order_lines
SELECT 'R' || id, line, article, quantity, quantity * cents / 100.0
FROM bought_items
WHERE channel = 'store';

-- name: marketplace_orders
-- description: orders on marketplaces
INSERT INTO marketplace_orders
SELECT
    (ARRAY['amazon', 'bol'])[1 + pg_temp.choice(id, 37, 2)],
    lpad(id::text, 9, '0'),
    email,
    (ARRAY['shipped', 'shipped', 'returned'])[1 + pg_temp.choice(id, 34, 3)],
    at
FROM bought
WHERE channel = 'market'
ORDER BY at;

-- name: marketplace_order_items
-- description: items of orders on marketplaces
INSERT INTO marketplace_order_items
SELECT
    (ARRAY['amazon', 'bol'])[1 + pg_temp.choice(id, 37, 2)],
    lpad(id::text, 9, '0'),
    line,
    article,
    quantity,
    cents / 100.0,
    round(cents * 0.0015, 2)
FROM bought_items
WHERE channel = 'market';

-- name: phone_orders
-- description: orders by phone, some from callers who gave no e-mail address
INSERT INTO phone_orders
SELECT
    id,
    (ARRAY['Eva', 'Mo', 'Sanne'])[1 + pg_temp.choice(id, 38, 3)],
    CASE WHEN pg_temp.choice(id, 36, 10) < 8 THEN email END,
    pg_temp.choice(id, 34, 15) = 0,
    at
FROM bought
WHERE channel = 'phone'
ORDER BY at;

-- name: phone_order_items
-- description: items of orders by phone
INSERT INTO phone_order_items
SELECT id, line, article, quantity, cents FROM bought_items WHERE channel = 'phone';

-- name: customer_engagement_metrics
-- description: each customer's orders and tickets, added up
WITH addresses AS (
    SELECT DISTINCT customer_id, lower(trim(email)) AS email
    FROM customer_emails
),
totals AS (
    SELECT
        addresses.customer_id,
        count(*) AS orders,
        sum(orders.total) AS spent,
        min(orders.ordered_at) AS first_at,
        max(orders.ordered_at) AS last_at
    FROM addresses
    JOIN customer_orders_v AS orders ON lower(trim(orders.email)) = addresses.email
    GROUP BY addresses.customer_id
)
INSERT INTO customer_engagement_metrics
SELECT
    id,
    least(created_at, first_at),
    greatest(updated_at, last_at),
    coalesce(orders, 0),
    coalesce(spent, 0),
    first_at,
    last_at,
    pg_temp.choice(id, 39, 4),
    CASE WHEN pg_temp.choice(id, 39, 4) > 0 THEN pg_temp.choice(id, 40, 2) ELSE 0 END,
    CASE WHEN pg_temp.choice(id, 39, 4) > 0 THEN updated_at END,
    least(100, 5 * coalesce(orders, 0) + pg_temp.choice(id, 41, 40))
FROM customer_profiles
LEFT JOIN totals ON totals.customer_id = id;

-- name: statistics
-- description: statistics for the planner
ANALYZE
    customer_profiles, customer_emails, customer_phones, customer_addresses, segments,
    customer_segment_links, customer_engagement_metrics, web_orders, web_order_items, store_orders,
    store_order_lines, marketplace_orders, marketplace_order_items, phone_orders, phone_order_items;
