-- name: touched
-- description: What has begun since some moment, and what lasts: to be compared with the last answer.
-- What lasts is told as long as it does. A mark is what tells a row from an earlier one of the same
-- view. Two rows are always there: the catalog's, whose mark changes with the relation of any view,
-- and the server's, which changes when a pooler's connections lead to another one.
SELECT clock_timestamp() AS now, found.what, found.view, found.mark
FROM (
    SELECT
        'catalog' AS what,
        NULL AS view,
        coalesce(
            bit_xor(
                hashtextextended(
                    c.relname::text,
                    (c.oid::bigint << 31)
                        # (c.relowner::bigint << 1) # c.relispopulated::int::bigint
                )
            ),
            0
        ) AS mark
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind IN ('m', 'v')
        OR c.relkind = 'r' AND c.relname IN (
            SELECT v.relation_name FROM refresher.view AS v WHERE v.kind = 'table'
        )
    UNION ALL
    SELECT 'lineage', NULL, coalesce(hashtextextended(refresher.lineage(), 0), 0)
    UNION ALL
    SELECT 'open', r.view, r.id
    FROM refresher.run AS r
    WHERE r.outcome IS NULL AND r.worker <> %(except)s
    UNION ALL
    SELECT 'begun', r.view, r.id
    FROM refresher.run AS r
    WHERE r.started_at > %(since)s::timestamptz AND r.worker <> %(except)s
    UNION ALL
    SELECT 'pause', p.view, hashtextextended(p.until::text, 0)
    FROM refresher.pause AS p
    WHERE p.until > clock_timestamp()
    UNION ALL
    SELECT 'request', q.view, hashtextextended(q.requested_at::text, 0)
    FROM refresher.request AS q
    WHERE q.requested_at > %(since)s::timestamptz
) AS found

-- name: touched_by_others
-- description: The same of what people and programs did beside refreshes, and what was found of it.
SELECT found.what, found.view, found.mark
FROM (
    SELECT 'look' AS what, l.view, hashtextextended(l.tried_at::text, 0) AS mark
    FROM refresher.look AS l
    WHERE l.tried_at > %(since)s::timestamptz
    UNION ALL
    SELECT 'verdict', v.view, hashtextextended(v.checked_at::text, 0)
    FROM refresher.verdict AS v
    WHERE v.checked_at > %(since)s::timestamptz
    UNION ALL
    SELECT 'outside', o.view, hashtextextended(o.seen_at::text, 0)
    FROM refresher.outside AS o
    WHERE o.seen_at > %(since)s::timestamptz
) AS found

-- name: outline
-- description: Numbers that change when views of both kinds come, go, or are defined anew, and when
-- what is registered of them, or their fences, are changed by anybody. xmin is a row's own mark.
SELECT
    (
        SELECT bit_xor(hashtextextended(r.ev_class::bigint::text, r.xmin::text::bigint))
        FROM pg_catalog.pg_rewrite AS r
    ) AS definitions,
    (
        SELECT bit_xor(hashtextextended(c.relname::text, c.oid::bigint # c.relnamespace::bigint << 31))
        FROM pg_catalog.pg_class AS c
        WHERE c.relkind IN ('m', 'v')
            OR c.relkind = 'r' AND c.relname IN (
                SELECT v.relation_name FROM refresher.view AS v WHERE v.kind = 'table'
            )
    ) AS relations,
    (
        SELECT bit_xor(hashtextextended(v.name, v.xmin::text::bigint)) FROM refresher.view AS v
    ) AS registered,
    (SELECT bit_xor(hashtextextended(f.view, 0)) FROM refresher.fence AS f) AS fences
