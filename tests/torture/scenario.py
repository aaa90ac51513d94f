"""The chain as it begins, the table under it, and the roles.

table orders → view order_lines → matview customer_totals → view customer_ranks → matview
region_totals → view region_report
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from refresher.postgres.sessions import Connection
from tests.torture.chain import (
    Chain,
    Column,
    Family,
    Formula,
    Index,
    Relation,
    SourceColumn,
)
from tests.torture.rendering import quoted

ORDERS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who is who; roles belong to the whole server, so each test has its own."""

    reader: str
    """Reads every view, and nothing else."""
    owners: tuple[str, str]
    house: str
    """The group of the owners: they read what they build on."""
    guests: tuple[str, str]
    stranger: str
    """Owns what the configuration does not manage."""


_TABLE = """
CREATE TABLE orders (
    id integer PRIMARY KEY, customer integer NOT NULL, region text NOT NULL,
    amount numeric NOT NULL, quantity integer NOT NULL, note text NOT NULL,
    status character varying(40) NOT NULL, placed date NOT NULL,
    shipped timestamp without time zone NOT NULL
);
INSERT INTO orders
SELECT
    id, id % 200, 'region ' || id % 8, (id * 37 % 1000)::numeric / 4, 1 + id % 9,
    'note ' || id % 500, (ARRAY['new', 'paid', 'sent'])[1 + id % 3],
    date '2026-01-01' + id % 300, timestamp '2026-01-02 08:00' + id % 300 * interval '1 day'
FROM generate_series(1, {orders}) AS id;
ANALYZE orders;
GRANT SELECT ON orders TO {house};
GRANT {house} TO {owners};
GRANT USAGE, CREATE ON SCHEMA public TO {house};
GRANT USAGE ON SCHEMA public TO {reader}, {stranger};
GRANT TEMPORARY ON DATABASE {database} TO {house};
GRANT CONNECT ON DATABASE {database} TO {reader};
"""

_N, _W, _D = Family.NUMBER, Family.WORD, Family.DAY
_SOURCE = (
    (1, "id", _N, "integer"),
    (2, "customer", _N, "integer"),
    (3, "region", _W, "text"),
    (4, "amount", _N, "numeric"),
    (5, "quantity", _N, "integer"),
    (6, "note", _W, "text"),
    (7, "status", _W, "character varying(40)"),
    (8, "placed", _D, "date"),
    (9, "shipped", _D, "timestamp without time zone"),
)
_SAME, _SUM, _MAX, _MIN = Formula.SAME, Formula.SUM, Formula.MAX, Formula.MIN
_LINES = (
    (11, "id", _N, _SAME, 1),
    (12, "customer", _N, _SAME, 2),
    (13, "region", _W, _SAME, 3),
    (14, "amount", _N, _SAME, 4),
    (15, "quantity", _N, _SAME, 5),
    (16, "note", _W, _SAME, 6),
    (17, "status", _W, _SAME, 7),
    (18, "placed", _D, _SAME, 8),
)
_TOTALS = (
    (21, "customer", _N, _SAME, 12),
    (22, "region", _W, _MAX, 13),
    (23, "orders", _N, Formula.COUNT, None),
    (24, "total", _N, _SUM, 14),
    (25, "largest", _N, _MAX, 15),
    (26, "last_order", _D, _MAX, 18),
    (27, "first_note", _W, _MIN, 16),
)
_RANKS = (
    (31, "customer", _N, _SAME, 21),
    (32, "region", _W, _SAME, 22),
    (33, "orders", _N, _SAME, 23),
    (34, "total", _N, _SAME, 24),
    (35, "last_order", _D, _SAME, 26),
    (36, "remark", _W, Formula.UPPER, 27),
)
_REGIONS = (
    (41, "region", _W, _SAME, 32),
    (42, "customers", _N, Formula.COUNT, None),
    (43, "total", _N, _SUM, 34),
    (44, "last_order", _D, _MAX, 35),
    (45, "remark", _W, _MIN, 36),
)
_REPORT = (
    (51, "region", _W, _SAME, 41),
    (52, "customers", _N, _SAME, 42),
    (53, "total", _N, _SAME, 43),
    (54, "due", _D, Formula.LATER, 44),
    (55, "remark", _W, _SAME, 45),
)
AUDIT = "audit"
"""The stranger's view, over the middle plain view and the last materialized view."""
AUDIT_COLUMNS = ("region", "customer", "customers_total", "region_total")
AUDITED = ((2, 32), (2, 31), (2, 34), (3, 43))
"""What each of them is: a view's position, and its column."""

# Keys, and what strangers.py uses.
_PINNED = frozenset({11, 12, 13, 16, 21, 22, 31, 32, 34, 41, 43, 51, 53})
_CALLED_BY_NAME = 2
"""The position of the view that a function's text names."""


def begin(roles: Roles) -> Chain:
    """The chain before its first change."""
    source = [
        SourceColumn(id=number, name=name, family=family, type=kind)
        for number, name, family, kind in _SOURCE
    ]
    grants = {
        roles.reader: frozenset({("select", False)}),
        roles.house: frozenset({("select", False)}),
        roles.stranger: frozenset({("select", False)}),
    }
    guest = {roles.guests[0]: frozenset({("select", True), ("insert", False)})}
    one, other = roles.owners

    def relation(name: str, columns: tuple[_Row, ...], owner: str, **rest: Any) -> Relation:
        made = tuple(map(_column, columns))
        return Relation(name=name, columns=made, owner=owner, **{"grants": grants, **rest})

    return Chain(
        source="orders",
        source_columns=tuple(source),
        relations=(
            relation("order_lines", _LINES, one, comment="Every order", grants=grants | guest),
            relation(
                "customer_totals",
                _TOTALS,
                one,
                materialized=True,
                dimensions=frozenset({21}),
                comment="What each customer's orders come to",
                indexes=(Index(columns=(24, 25)), Index(columns=(22,), method="hash")),
                options={"fillfactor": "90"},
            ),
            relation("customer_ranks", _RANKS, other, grants=grants | guest),
            relation(
                "region_totals",
                _REGIONS,
                other,
                materialized=True,
                dimensions=frozenset({41}),
                indexes=(Index(columns=(43,), name="by total"),),
            ),
            relation("region_report", _REPORT, one, comment="For the board"),
        ),
        pinned=_PINNED,
        fixed=frozenset({_CALLED_BY_NAME}),
        owners=roles.owners,
        guests=roles.guests,
        next_id=100,
    )


_Row: TypeAlias = tuple[int, str, Family, Formula, int | None]


def _column(row: _Row) -> Column:
    number, name, family, formula, reads = row
    return Column(id=number, name=name, family=family, formula=formula, reads=reads)


def make_roles(make_role: Callable[..., str]) -> Roles:
    """Create the roles."""
    return Roles(
        reader=make_role("reader"),
        owners=(make_role("one", "NOLOGIN"), make_role("other", "NOLOGIN")),
        house=make_role("house", "NOLOGIN"),
        guests=(make_role("guest"), make_role("visitor")),
        stranger=make_role("stranger"),
    )


def create_source(connection: Connection, roles: Roles) -> None:
    """Create the table, and let the owners build on it; needs a superuser."""
    connection.execute(
        _TABLE.format(
            orders=ORDERS,
            house=quoted(roles.house),
            owners=", ".join(map(quoted, roles.owners)),
            reader=quoted(roles.reader),
            stranger=quoted(roles.stranger),
            database=quoted(connection.info.dbname),
        )
    )


def trust(connection: Connection, roles: Roles, program: str) -> None:
    """Let a role that is no superuser act for everybody whose things it is to change."""
    for role in (*roles.owners, roles.stranger):
        connection.execute(f"GRANT {quoted(role)} TO {quoted(program)}")
