-- What people have: several schemas, views on views, indexes of all kinds, odd names.
-- {boss}, {reader} and {odd} are roles.
CREATE SCHEMA crm;
CREATE SCHEMA "Odd ""schema";

CREATE TABLE orders (
    id int PRIMARY KEY, customer int, amount numeric, note text, active bool,
    at timestamptz, tags text[], spot point
);
INSERT INTO orders
SELECT n, n % 10, n, 'note ' || n, n % 2 = 0, '2026-01-01', ARRAY['a'], point(n, n)
FROM generate_series(1, 100) AS n;

CREATE VIEW crm.paid AS SELECT * FROM orders WHERE amount > 0;

CREATE MATERIALIZED VIEW crm.totals WITH (fillfactor = 70, autovacuum_enabled = off) AS
SELECT customer, sum(amount) AS total, count(*) FILTER (WHERE note LIKE '%5') AS fives
FROM crm.paid GROUP BY customer;
CREATE UNIQUE INDEX totals_customer_key ON crm.totals (customer);
CREATE INDEX ON crm.totals (total);
CREATE INDEX "big; totals" ON crm.totals (total DESC NULLS LAST) WHERE total > 100;
CREATE INDEX covering ON crm.totals (customer, total) INCLUDE (fives) WHERE fives > 0;
CREATE INDEX loose ON crm.totals (total) WITH (fillfactor = 50);
CREATE INDEX hashed ON crm.totals USING hash (customer);
COMMENT ON MATERIALIZED VIEW crm.totals IS E'Totals: by "customer"\n$HOME ${X} é \t\\ # end ';
GRANT SELECT ON crm.totals TO {reader} WITH GRANT OPTION;
GRANT SELECT, INSERT, REFERENCES ON crm.totals TO {odd};
GRANT SELECT ON crm.totals TO PUBLIC;

CREATE MATERIALIZED VIEW totals AS
SELECT t.customer, t.total, rank() OVER (ORDER BY t.total) AS place FROM crm.totals AS t;
CREATE UNIQUE INDEX totals_place ON totals (place, customer);
ALTER MATERIALIZED VIEW totals OWNER TO {boss};

CREATE MATERIALIZED VIEW "Odd ""schema"."we/ird: $name ${X} #1
%s" AS
SELECT id AS "a b", note AS "$x", at, tags, active, spot, E'it''s; $1 %s \\ {{' AS text FROM orders;
SET search_path = "Odd ""schema";
ALTER MATERIALIZED VIEW "we/ird: $name ${X} #1
%s" RENAME TO odd;
CREATE INDEX lowered ON odd (lower("$x"));
ALTER INDEX lowered ALTER COLUMN 1 SET STATISTICS 500;
CREATE INDEX summed ON odd (("a b" + 1));
CREATE UNIQUE INDEX several ON odd ("a b", (upper("$x")) text_pattern_ops) WHERE active;
CREATE INDEX partly ON odd ("a b") WHERE active;
CREATE INDEX mixed ON odd (("a b" + 1), at);
CREATE INDEX collated ON odd ("$x" COLLATE "C");
CREATE INDEX ranged ON odd USING brin (at) WITH (pages_per_range = 8);
CREATE INDEX listed ON odd USING gin (tags);
CREATE INDEX placed ON odd USING gist (spot);
ALTER MATERIALIZED VIEW odd RENAME TO "we/ird: $name ${X} #1
%s";
RESET search_path;

CREATE MATERIALIZED VIEW never AS SELECT 1 AS id WITH NO DATA;
CREATE UNIQUE INDEX never_id_key ON never (id);

CREATE MATERIALIZED VIEW "Never" AS VALUES (1, 'a'), (2, 'b');

CREATE MATERIALIZED VIEW nulls (id, "?column?") AS (SELECT NULL::int, 1) UNION ALL SELECT 1, 2;
CREATE UNIQUE INDEX nulls_id_key ON nulls (id);
GRANT SELECT ("?column?") ON nulls TO {reader};

CREATE VIEW "top view" WITH (security_barrier) AS
WITH RECURSIVE best (place) AS (
    SELECT 1 UNION ALL SELECT place + 1 FROM best WHERE place < 3
)
SELECT t.* FROM totals AS t JOIN best USING (place);
COMMENT ON VIEW "top view" IS 'true';
