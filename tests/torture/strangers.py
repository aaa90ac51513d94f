"""What others built on the chain and the configuration does not know of, and whether it works."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

from refresher.postgres.sessions import Connection
from tests.torture.chain import Chain
from tests.torture.rendering import literal, quoted
from tests.torture.scenario import AUDIT, AUDIT_COLUMNS, Roles

_AUDIT_QUERY = """
SELECT r.region, r.customer, r.total AS customers_total, s.total AS region_total
FROM public.{ranks} AS r LEFT JOIN public.{regions} AS s ON s.region::text = r.region::text
"""

# Where another type would not do they say which one they want, as one does.
_OBJECTS = """
CREATE TABLE intake (number integer GENERATED ALWAYS AS IDENTITY, by_way_of text, what text);
GRANT INSERT ON intake TO {house};
ALTER TABLE intake OWNER TO {stranger};
CREATE RULE take_in AS ON INSERT TO {lines} DO INSTEAD
    INSERT INTO intake (by_way_of, what) VALUES ('rule', new.note);
ALTER VIEW {lines} ALTER COLUMN note SET DEFAULT 'not said';

CREATE FUNCTION take_rank() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.intake (by_way_of, what) VALUES ('trigger', new.region);
    RETURN new;
END
$$;
ALTER FUNCTION take_rank() OWNER TO {stranger};
CREATE TRIGGER take_rank INSTEAD OF INSERT ON {ranks}
FOR EACH ROW EXECUTE FUNCTION take_rank();
COMMENT ON COLUMN {ranks}.region IS 'Where most was bought';
COMMENT ON COLUMN {totals}.customer IS 'As in the CRM';

CREATE VIEW audit WITH (security_barrier = true) AS {audit};
COMMENT ON VIEW audit IS 'Nobody''s business';
COMMENT ON COLUMN audit.region_total IS 'As reported';
ALTER VIEW audit OWNER TO {stranger};
GRANT SELECT ON audit TO {reader};
GRANT SELECT (region), UPDATE (region) ON audit TO {guest} WITH GRANT OPTION;

CREATE FUNCTION highest_customer() RETURNS text LANGUAGE sql STABLE
AS 'SELECT max(customer::text) FROM public.customer_ranks';
ALTER FUNCTION highest_customer() OWNER TO {stranger};
CREATE FUNCTION last_region() RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC SELECT max(region::text) FROM {report}; END;
COMMENT ON FUNCTION last_region() IS 'Reads the report';
ALTER FUNCTION last_region() OWNER TO {stranger};
CREATE TABLE booking (
    number integer GENERATED ALWAYS AS IDENTITY,
    customer text DEFAULT highest_customer(),
    region text DEFAULT last_region()
);
INSERT INTO booking DEFAULT VALUES;
INSERT INTO booking (region) VALUES ('nowhere');
GRANT SELECT ON booking TO {reader};
ALTER TABLE booking ENABLE ROW LEVEL SECURITY;
CREATE POLICY known_regions ON booking FOR SELECT
    USING (region IN (SELECT s.region::text FROM {regions} AS s));
ALTER TABLE booking OWNER TO {stranger};
"""

# Everything about them but what they are made of, which a change may rightly touch.
_FACTS: LiteralString = """
WITH own AS (
    SELECT * FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname IN ('audit', 'booking', 'intake')
)
SELECT 'relation ' || relname AS what, ARRAY[
    relkind::text, pg_get_userbyid(relowner), relacl::text, reloptions::text,
    obj_description(oid, 'pg_class')
] AS fact
FROM own
UNION ALL
SELECT 'column ' || c.relname || '.' || a.attname, ARRAY[
    a.attacl::text, col_description(c.oid, a.attnum), pg_get_expr(d.adbin, d.adrelid)
]
FROM own AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
UNION ALL
SELECT 'function ' || proname, ARRAY[
    pg_get_userbyid(proowner), proacl::text, prosrc, provolatile::text,
    obj_description(oid, 'pg_proc')
]
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger ' || tgname, ARRAY[tgfoid::regproc::text, tgtype::text, tgenabled::text]
FROM pg_trigger WHERE tgname = 'take_rank'
UNION ALL
SELECT 'rule ' || rulename, ARRAY[ev_type::text, is_instead::text, ev_enabled::text]
FROM pg_rewrite WHERE rulename = 'take_in'
UNION ALL
SELECT 'policy ' || polname, ARRAY[polrelid::regclass::text, polcmd::text, polroles::text]
FROM pg_policy
UNION ALL
SELECT 'comment ' || attname, ARRAY[col_description(attrelid, attnum)]
FROM pg_attribute
WHERE attrelid = %(ranks)s::regclass AND attname = 'region'
    OR attrelid = %(totals)s::regclass AND attname = 'customer'
"""


def audit_query(chain: Chain) -> str:
    """What the stranger's view selects."""
    _, _, ranks, regions, _ = (quoted(relation.name) for relation in chain.relations)
    return _AUDIT_QUERY.format(ranks=ranks, regions=regions)


def create_strangers(connection: Connection, chain: Chain, roles: Roles) -> None:
    """Build on the chain; needs a superuser."""
    lines, totals, ranks, regions, report = map(
        quoted, (relation.name for relation in chain.relations)
    )
    connection.execute(
        _OBJECTS.format(
            lines=lines,
            totals=totals,
            ranks=ranks,
            regions=regions,
            report=report,
            audit=audit_query(chain),
            stranger=quoted(roles.stranger),
            house=quoted(roles.house),
            reader=quoted(roles.reader),
            guest=quoted(roles.guests[0]),
        )
    )


def read_facts(connection: Connection, chain: Chain) -> dict[str, Any]:
    """What must be the same after every change."""
    _, totals, ranks, _, _ = (quoted(relation.name) for relation in chain.relations)
    rows = connection.execute(_FACTS, {"totals": totals, "ranks": ranks})
    return {row["what"]: row["fact"] for row in rows}


def broken(connection: Connection, chain: Chain, roles: Roles) -> Iterator[str]:
    """What does not do any more what it did; leaves nothing behind."""
    for what, deed, question, answer in _deeds(chain, roles):
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(deed)
                given, wanted = _rows(connection, question), _rows(connection, answer)
        except psycopg.Error as error:
            yield f"{what} fails: {error}"
        else:
            if given != wanted:
                yield f"{what} makes {given[:3]} instead of {wanted[:3]}"


def _rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.cursor(row_factory=tuple_row).execute(query).fetchall()


def _deeds(chain: Chain, roles: Roles) -> Iterator[tuple[str, str, str, str]]:
    """What is tried, how, a question afterwards, and one with the same answer if all is well."""
    lines, _, ranks, regions, report = (quoted(relation.name) for relation in chain.relations)
    taken = "SELECT by_way_of, what FROM intake ORDER BY number DESC LIMIT 1"
    booked = "SELECT customer, region FROM booking ORDER BY number DESC LIMIT 1"
    said = f"INSERT INTO {lines} (note) VALUES ('said')"
    yield "the INSTEAD rule", said, taken, "SELECT 'rule', 'said'"
    unsaid = f"INSERT INTO {lines} (id) VALUES ('7')"
    yield "the view's default", unsaid, taken, "SELECT 'rule', 'not said'"
    ranked = f"INSERT INTO {ranks} (region) VALUES ('told')"
    yield "the INSTEAD OF trigger", ranked, taken, "SELECT 'trigger', 'told'"
    highest = f"(SELECT max(customer::text) FROM {ranks}), (SELECT max(region::text) FROM {report})"
    yield "the default", "INSERT INTO booking DEFAULT VALUES", booked, f"SELECT {highest}"
    role = f"SET LOCAL ROLE {quoted(roles.reader)}"
    seen = f"SELECT DISTINCT {literal('region 7')} FROM {regions} WHERE region::text = 'region 7'"
    yield "the policy", role, "SELECT region FROM booking", seen
    order = f"ORDER BY {', '.join(map(str, range(1, len(AUDIT_COLUMNS) + 1)))}"
    told = f"SELECT {', '.join(AUDIT_COLUMNS)} FROM {AUDIT} {order}"
    yield "the stranger's view", role, told, f"{audit_query(chain)} {order}"
