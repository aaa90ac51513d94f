"""What is found about views: their privileges, their sources, their readers."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from refresher.definitions.marks import mark_comment
from refresher.doctor.model import Severity
from refresher.names import RelationName
from refresher.postgres.sessions import Connection
from tests.integration.doctor.conftest import PLAIN, Patient

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


@pytest.fixture
def shop(patient: Patient) -> Patient:
    """One with a table that refresher's role may read and lock."""
    patient.execute(
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.orders AS SELECT id FROM generate_series(1, 10) AS id",
        'GRANT USAGE ON SCHEMA sales TO "{role}"',
        'GRANT SELECT, TRIGGER ON sales.orders TO "{role}"',
    )
    return patient


ORDERS = "SELECT id FROM sales.orders"


def test_a_view_that_is_well_is_not_spoken_of(shop: Patient) -> None:
    shop.create("copies", ORDERS)
    topics = "apply schemas temporary missing kind unpopulated refresh sources row_security locks"
    for topic in (*topics.split(), "triggers", "readers", "unmanaged"):
        assert shop.findings(topic) == []


def test_what_apply_would_ask_for_is_asked_for(
    shop: Patient, make_role: Callable[..., str]
) -> None:
    owner = make_role("owner", "NOLOGIN")
    shop.define("copies", ORDERS, owner=owner)
    finding = shop.finding("apply", ERROR)
    assert f'GRANT {owner} TO "{shop.role}"' in finding.sql
    shop.cure(finding)


def test_what_stands_can_be_refreshed_although_it_can_not_be_changed(
    shop: Patient, make_role: Callable[..., str]
) -> None:
    shop.create("copies", ORDERS)
    shop.execute('REVOKE CREATE ON SCHEMA public FROM "{role}", PUBLIC')
    shop.cure(shop.finding("apply", NOTE))
    shop.execute(
        'REVOKE CREATE ON SCHEMA public FROM "{role}"',
        f"ALTER MATERIALIZED VIEW copies OWNER TO {make_role('owner', 'NOLOGIN')}",
    )
    assert shop.findings("apply") == []


def test_a_schema_that_may_not_be_used_is_opened(shop: Patient) -> None:
    shop.execute("CREATE SCHEMA closed", f"CREATE MATERIALIZED VIEW closed.v AS {ORDERS}")
    shop.define("v", ORDERS, relation=RelationName("closed", "v"))
    shop.cure(shop.finding("schemas", ERROR))


def test_temporary_tables_are_for_the_owner_and_for_trying(
    shop: Patient, make_role: Callable[..., str]
) -> None:
    owner = make_role("owner", "NOLOGIN")
    shop.create("copies", ORDERS, owner=owner)
    shop.execute(
        'REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC',
        f'GRANT {owner} TO "{shop.role}"',
    )
    finding = shop.finding("temporary", ERROR)
    assert finding.message == f"{owner} may not keep temporary tables"
    shop.cure(finding)
    assert shop.findings("apply") == []
    shop.execute(f'REVOKE {owner} FROM "{shop.role}"')
    trying = shop.finding("apply", ERROR)
    assert f'GRANT TEMPORARY ON DATABASE {shop.database.name} TO "{shop.role}"' in trying.sql
    shop.cure(trying)


def test_missing_and_unpopulated_and_other_things_are_told_apart(shop: Patient) -> None:
    shop.define("missing", ORDERS)
    shop.create("empty", f"{ORDERS} WITH NO DATA")
    shop.define("taken", ORDERS)
    shop.execute("CREATE TABLE taken ()")
    shop.create("plain", ORDERS, PLAIN)
    assert shop.finding("missing", NOTE).views == ("missing",)
    assert shop.finding("unpopulated", WARNING).views == ("empty",)
    assert shop.finding("kind", ERROR).views == ("taken",)
    shop.execute("REFRESH MATERIALIZED VIEW empty", "DROP TABLE taken")
    assert shop.findings("unpopulated") == shop.findings("kind") == []


def test_a_view_of_another_role_may_be_refreshed_after_the_cure(
    shop: Patient, make_role: Callable[..., str]
) -> None:
    owner = make_role("Owner", "NOLOGIN")
    shop.create("copies", ORDERS, owner=owner)
    shop.execute(f'GRANT USAGE ON SCHEMA sales TO "{owner}"')
    shop.execute(f'GRANT SELECT ON sales.orders TO "{owner}"')
    shop.cure(shop.finding("refresh", ERROR))
    with shop.database.connect_as(shop.role) as connection:
        connection.execute("REFRESH MATERIALIZED VIEW copies")


@pytest.mark.pg(">= 17")
def test_maintaining_a_view_is_refreshing_it_but_not_reading_it(
    shop: Patient, make_role: Callable[..., str]
) -> None:
    shop.create("copies", ORDERS, owner=make_role("owner", "NOLOGIN"))
    shop.execute('GRANT MAINTAIN ON copies TO "{role}"')
    finding = shop.finding("refresh", ERROR)
    assert finding.sql == (f'GRANT SELECT ON public.copies TO "{shop.role}"',)
    shop.cure(finding)


def test_sources_are_read_as_the_owner(shop: Patient, make_role: Callable[..., str]) -> None:
    owner = make_role("owner", "NOLOGIN")
    shop.create("copies", ORDERS, owner=owner)
    finding = shop.finding("sources", ERROR)
    assert finding.sql == (f"GRANT SELECT ON sales.orders TO {owner}",)
    shop.cure(finding)


def test_a_plain_view_between_reads_as_its_own_owner(
    shop: Patient, make_role: Callable[..., str]
) -> None:
    between, owner = make_role("between", "NOLOGIN"), make_role("owner", "NOLOGIN")
    shop.execute(f"CREATE VIEW v AS {ORDERS}")
    shop.create("copies", "SELECT id FROM v", owner=owner)
    shop.execute(f"ALTER VIEW v OWNER TO {between}")
    found = {finding.sql for finding in shop.findings("sources")}
    assert found == {
        (f"GRANT SELECT ON sales.orders TO {between}",),
        (f"GRANT SELECT ON public.v TO {owner}",),
    }
    for finding in shop.findings("sources"):
        shop.execute(*finding.sql)
    assert shop.findings("sources") == []


@pytest.mark.pg(">= 15")
@pytest.mark.parametrize("value", ["true", "on", "1"])
def test_a_plain_view_between_may_read_as_whoever_asks(
    shop: Patient, make_role: Callable[..., str], value: str
) -> None:
    owner = make_role("owner", "NOLOGIN")
    shop.execute(
        f"CREATE VIEW v WITH (security_invoker = {value}) AS {ORDERS}",
        f"GRANT SELECT ON v TO {owner}",
    )
    shop.create("copies", "SELECT id FROM v", owner=owner)
    finding = shop.finding("sources", ERROR)
    assert finding.sql == (f"GRANT SELECT ON sales.orders TO {owner}",)


def test_what_a_missing_view_would_read_is_asked_for(
    shop: Patient, make_role: Callable[..., str]
) -> None:
    owner = make_role("owner", "NOLOGIN")
    shop.define("below", "SELECT id FROM copies", owner=owner)
    shop.define("copies", ORDERS, owner=owner)
    finding = shop.finding("sources", ERROR)
    assert finding.sql == (f"GRANT SELECT ON sales.orders TO {owner}",)
    shop.cure(finding)


def test_a_schema_of_sources_that_may_not_be_used_is_named(shop: Patient) -> None:
    shop.execute('REVOKE ALL ON SCHEMA sales FROM "{role}"')
    shop.define("copies", ORDERS)
    finding = shop.finding("sources", ERROR)
    assert finding.sql == (f'GRANT USAGE ON SCHEMA sales TO "{shop.role}"',)
    shop.cure(finding)


def test_sources_that_can_not_be_locked_are_noted(
    shop: Patient, make_role: Callable[..., str]
) -> None:
    owner = make_role("owner", "NOLOGIN")
    shop.create("copies", ORDERS, owner=owner)
    shop.execute(
        f'GRANT SELECT ON sales.orders TO "{owner}"',
        'REVOKE ALL ON sales.orders FROM "{role}"',
    )
    shop.cure(shop.finding("locks", NOTE))
    shop.cure(shop.finding("triggers", NOTE))


# What row-level security does with a refresh, by who owns the view. The table is `crm_owner`'s.
_ENABLED = ["ALTER TABLE sales.orders ENABLE ROW LEVEL SECURITY"]
_FORCED = [*_ENABLED, "ALTER TABLE sales.orders FORCE ROW LEVEL SECURITY"]
_OPEN = "CREATE POLICY a ON sales.orders USING (true)"
_SOME = "CREATE POLICY b ON sales.orders USING (id < 3)"
_CLOSED = "CREATE POLICY c ON sales.orders AS RESTRICTIVE USING (id < 3)"


@pytest.mark.parametrize(
    ("owner", "statements", "rows"),
    [
        ("reader", [], 10),
        ("reader", _ENABLED, 0),
        ("keeper", _ENABLED, 10),
        ("keeper", _FORCED, 0),
        ("member", _ENABLED, 10),
        ("member", _FORCED, 0),
        ("bypasser", _FORCED, 10),
        ("superuser", _FORCED, 10),
        ("reader", [*_ENABLED, _OPEN], 10),
        ("keeper", [*_FORCED, _OPEN], 10),
        ("reader", [*_ENABLED, _SOME], 2),
        ("reader", [*_ENABLED, _OPEN, _CLOSED], 2),
        ("reader", [*_ENABLED, _OPEN, _SOME], 10),
        ("reader", [*_ENABLED, "CREATE POLICY d ON sales.orders FOR INSERT WITH CHECK (true)"], 0),
        ("reader", [*_ENABLED, "CREATE POLICY e ON sales.orders TO CURRENT_USER USING (true)"], 0),
    ],
)
def test_a_policy_that_hides_rows_from_a_refresh_is_found(
    shop: Patient,
    make_role: Callable[..., str],
    owner: str,
    statements: list[str],
    rows: int,
) -> None:
    options = {"bypasser": "NOLOGIN BYPASSRLS", "superuser": "NOLOGIN SUPERUSER"}
    roles = {
        name: make_role(name, options.get(name, "NOLOGIN")) for name in {owner, "keeper", "reader"}
    }
    if owner == "member":
        shop.execute(f"GRANT {roles['keeper']} TO {roles['member']}")
    shop.execute(
        f"ALTER TABLE sales.orders OWNER TO {roles['keeper']}",
        f"GRANT SELECT ON sales.orders TO {roles[owner]}",
        *statements,
    )
    shop.create("copies", f"{ORDERS} WITH NO DATA", owner=roles[owner])
    shop.execute("REFRESH MATERIALIZED VIEW copies")
    counted = shop.admin.execute("SELECT count(*) AS rows FROM copies").fetchone()
    assert counted == {"rows": rows}

    found = shop.findings("row_security")
    assert bool(found) is (rows < 10)
    for finding in found:
        assert finding.severity is WARNING
        assert ("FORCE" in finding.why) is (statements[:2] == _FORCED)
    if found and _CLOSED not in statements:
        shop.cure(found[0])
        shop.execute("REFRESH MATERIALIZED VIEW copies")
        counted = shop.admin.execute("SELECT count(*) AS rows FROM copies").fetchone()
        assert counted == {"rows": 10}


@pytest.fixture
def anon(maintenance: Connection) -> str:
    """The role as which Supabase lets anybody ask; it stays for other tests of the run."""
    with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        maintenance.execute("CREATE ROLE anon NOLOGIN")
    return "anon"


def test_a_view_that_an_api_role_reads_without_being_asked_is_found(
    shop: Patient, anon: str
) -> None:
    shop.create("copies", ORDERS)
    assert shop.findings("readers") == []
    shop.execute(f"GRANT ALL ON copies TO {anon}")
    finding = shop.finding("readers", WARNING)
    assert finding.message == "public.copies is readable by anon"
    shop.cure(finding)
    shop.execute(f"GRANT SELECT ON copies TO {anon}")
    shop.views["copies"] = replace(shop.views["copies"], grants={anon: ("select",)})
    assert shop.findings("readers") == []


def test_everybody_may_be_meant_to_read(shop: Patient) -> None:
    shop.create("copies", ORDERS)
    shop.execute("GRANT SELECT ON copies TO PUBLIC")
    shop.finding("readers", NOTE)
    shop.execute("ALTER TABLE sales.orders ENABLE ROW LEVEL SECURITY")
    shop.cure(shop.finding("readers", WARNING))
    shop.execute("GRANT SELECT ON copies TO PUBLIC")
    shop.views["copies"] = replace(shop.views["copies"], grants={"public": ("select",)})
    assert shop.findings("readers") == []


def test_what_nobody_manages_is_noted(shop: Patient) -> None:
    shop.create("copies", ORDERS)
    shop.execute(f'CREATE MATERIALIZED VIEW "Other" AS {ORDERS}')
    finding = shop.finding("unmanaged", NOTE)
    assert finding.message.endswith('public."Other"')
    # What an apply is building is nobody else's.
    mark = mark_comment(RelationName("public", "copies"))
    shop.execute(f"""COMMENT ON MATERIALIZED VIEW "Other" IS '{mark}'""")
    assert shop.findings("unmanaged") == []
