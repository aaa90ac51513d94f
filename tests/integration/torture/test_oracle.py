"""The oracle finds whatever differs, and nothing where nothing does."""

import random

import pytest

from tests.integration.torture.conftest import Standing
from tests.torture import keeping, oracle, rendering, strangers
from tests.torture.changes import draw_edit


def test_what_was_created_as_the_definitions_say_does_not_differ(standing: Standing) -> None:
    assert list(oracle.differences(standing.connection, standing.chain)) == []
    assert list(strangers.broken(standing.connection, standing.chain, standing.roles)) == []


def test_every_definition_that_is_drawn_is_valid_and_shows_rows(standing: Standing) -> None:
    chance = random.Random(3)  # noqa: S311 - a draw to be repeated
    connection, chain = standing.connection, standing.chain
    connection.execute("DROP VIEW order_lines CASCADE")
    for _ in range(25):
        chain = draw_edit(chain, chance).chain
        with connection.transaction(force_rollback=True):
            for statement in rendering.statements(chain):
                connection.execute(statement)
            assert list(oracle.differences(connection, chain)) == []
            for relation in chain.relations:
                rows = f"SELECT FROM {rendering.quoted(relation.name)} LIMIT 1"
                assert connection.execute(rows).fetchall() != []


_LATER = (
    "SELECT region, customers, total, last_order + interval '44 days' AS due, remark"
    " FROM region_totals"
)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("ALTER VIEW customer_ranks OWNER TO CURRENT_USER", "owner"),
        ("COMMENT ON VIEW order_lines IS 'Every order!'", "comment"),
        ("COMMENT ON MATERIALIZED VIEW region_totals IS 'By hand'", "comment"),
        ("GRANT SELECT ON region_report TO PUBLIC", "grants"),
        ("GRANT DELETE ON region_totals TO CURRENT_USER", "grants"),
        ("REVOKE SELECT ON region_report FROM {reader}", "grants"),
        ("GRANT SELECT ON region_report TO {reader} WITH GRANT OPTION", "grants"),
        ("GRANT SELECT (total) ON region_report TO {reader}", "of_columns"),
        ("REVOKE INSERT ON customer_totals FROM {owner}", "stand"),
        ("ALTER VIEW order_lines SET (security_barrier)", "options"),
        ("ALTER MATERIALIZED VIEW customer_totals RESET (fillfactor)", "options"),
        ("CREATE INDEX ON customer_totals (orders)", "indexes"),
        ("DROP INDEX customer_totals_customer_idx", "indexes"),
        ('ALTER INDEX "by total" RENAME TO by_total', "by total"),
        ('ALTER INDEX "by total" SET (fillfactor = 50)', "indexes"),
        ("REFRESH MATERIALIZED VIEW region_totals WITH NO DATA", "populated"),
        ("UPDATE orders SET amount = 1 WHERE id = 7", "rows are missing"),
        ("ALTER VIEW customer_ranks RENAME remark TO remarks", "columns"),
        ("ALTER VIEW region_report RENAME TO report", "is missing"),
        (f"CREATE OR REPLACE VIEW region_report AS {_LATER}", "query"),
    ],
)
def test_what_differs_is_found(standing: Standing, statement: str, found: str) -> None:
    names = {"reader": standing.roles.reader, "owner": standing.roles.owners[0]}
    standing.connection.execute(statement.format(**names))
    differences = list(oracle.differences(standing.connection, standing.chain))
    assert any(found in difference for difference in differences), differences


_SHORTER = (
    "SELECT region, customer, total AS customers_total, total AS region_total FROM customer_ranks"
)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DROP VIEW audit", "the stranger's view fails"),
        (f"CREATE OR REPLACE VIEW audit AS {_SHORTER}", "the stranger's view makes"),
        ("DROP RULE take_in ON order_lines", "the INSTEAD rule"),
        ("ALTER VIEW order_lines ALTER COLUMN note DROP DEFAULT", "the view's default"),
        ("DROP TRIGGER take_rank ON customer_ranks", "the INSTEAD OF trigger fails"),
        ("ALTER TABLE booking ALTER COLUMN region DROP DEFAULT", "the default makes"),
        ("DROP POLICY known_regions ON booking", "the policy makes"),
    ],
)
def test_what_does_not_work_any_more_is_found(
    standing: Standing, statement: str, found: str
) -> None:
    standing.connection.execute(statement)
    broken = list(strangers.broken(standing.connection, standing.chain, standing.roles))
    assert any(found in what for what in broken), broken


_AUDIT = "CREATE VIEW audit AS SELECT 1 AS region, 2 AS customer, 3 AS customers_total"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT", None),
        ("REFRESH MATERIALIZED VIEW region_totals", None),
        ("CREATE MATERIALIZED VIEW leftover AS SELECT 1", "relation leftover was left over"),
        ("CREATE SCHEMA refresher_tmp", "schema refresher_tmp was left over"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "was left over"),
        ("DROP TABLE booking", "relation booking is gone"),
        (f"DROP VIEW audit; {_AUDIT}, 4 AS region_total", "audit could have kept its OID"),
        ("COMMENT ON VIEW audit IS NULL", "relation audit"),
        ("COMMENT ON COLUMN audit.region_total IS NULL", "column audit.region_total"),
        ("COMMENT ON COLUMN customer_totals.customer IS NULL", "comment customer"),
        ("COMMENT ON FUNCTION last_region() IS NULL", "function last_region"),
        ("REVOKE UPDATE (region) ON audit FROM {guest}", "column audit.region"),
        ("ALTER VIEW audit RESET (security_barrier)", "relation audit"),
        ("ALTER FUNCTION last_region() VOLATILE", "function last_region"),
        ("ALTER POLICY known_regions ON booking TO {guest}", "policy known_regions"),
        ("ALTER INDEX customer_totals_customer_idx RENAME TO other", "is now other"),
    ],
)
def test_what_was_lost_is_found(standing: Standing, statement: str, found: str | None) -> None:
    before = oracle.read_standing(standing.connection, standing.chain)
    standing.connection.execute(statement.format(guest=standing.roles.guests[0]))
    after = oracle.read_standing(standing.connection, standing.chain)
    lost = list(keeping.lost(before, after, [standing.chain, standing.chain]))
    if found is None:
        assert lost == []
    else:
        assert any(found in what for what in lost), lost
