"""Definitions that change while others depend on them."""

import pytest

from tests.integration.definitions.conftest import PLAIN, Workbench


@pytest.fixture
def chain(workbench: Workbench) -> Workbench:
    """table → plain view → matview → plain view → matview → plain view, with all that hangs on."""
    workbench.execute(
        "CREATE TABLE orders (id int, customer int, amount numeric, note text);"
        "INSERT INTO orders SELECT n, n % 10, n, 'n' || n FROM generate_series(1, 100) AS n"
    )
    workbench.define("v1", "SELECT id, customer, amount FROM orders", PLAIN)
    workbench.define(
        "m1",
        "SELECT customer, sum(amount) AS total, count(*) AS orders FROM v1 GROUP BY customer",
        key=("customer",),
        comment="totals",
    )
    workbench.define("v2", "SELECT customer, total, orders FROM m1 WHERE total > 0", PLAIN)
    workbench.define(
        "m2", "SELECT customer % 2 AS odd, sum(total) AS total FROM v2 GROUP BY 1", key=("odd",)
    )
    workbench.define("v3", "SELECT odd, total FROM m2", PLAIN)
    workbench.apply_well()
    workbench.execute(
        "CREATE VIEW stranger AS SELECT v2.customer, m2.total FROM v2 JOIN m2 ON m2.odd = v2.customer;"
        "CREATE FUNCTION best() RETURNS numeric BEGIN ATOMIC SELECT max(total) FROM v2; END;"
        "CREATE TABLE prizes (id int, worth numeric DEFAULT best());"
        "CREATE RULE inserted AS ON INSERT TO v2 DO INSTEAD"
        " INSERT INTO orders (customer, amount) VALUES (NEW.customer, NEW.total)"
    )
    return workbench


def oid(workbench: Workbench, name: str) -> int:
    found: int = workbench.one("SELECT %s::regclass::oid::int8", name)
    return found


def test_a_changed_query_is_swapped_and_all_goes_on(chain: Workbench) -> None:
    before = {name: oid(chain, name) for name in ("v1", "m1", "v2", "m2", "v3", "stranger")}
    chain.redefine(
        "m1",
        query="SELECT customer, sum(amount) * 2 AS total, count(*) AS orders FROM v1 GROUP BY customer",
    )
    assert chain.kinds() == [("swap", "m1", "v2"), ("refresh", "m2")]
    chain.apply_well()
    after = {name: oid(chain, name) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"m1"}
    assert chain.one("SELECT sum(total) FROM v3") == 10100
    chain.execute("INSERT INTO prizes (id) VALUES (1); INSERT INTO v2 VALUES (99, 1, 1)")
    assert chain.one("SELECT count(*) FROM orders WHERE customer = 99") == 1
    assert chain.one("SELECT obj_description('m1'::regclass)") == "totals"


def test_a_dropped_column_travels(chain: Workbench) -> None:
    chain.redefine("m1", query="SELECT customer, sum(amount)::bigint AS total FROM v1 GROUP BY customer")
    chain.redefine("v2", query="SELECT customer, total FROM m1 WHERE total > 0")
    before = {name: oid(chain, name) for name in ("v1", "v3", "stranger")}
    left = chain.relations().keys()
    assert chain.apply_well() == [("swap", "m1", "v2", "m2", "v3", "public.stranger")]
    assert chain.relations().keys() == left
    assert before == {name: oid(chain, name) for name in before}
    assert chain.one("SELECT sum(total) FROM v3") == 5050
    chain.execute("INSERT INTO prizes (id) VALUES (1); INSERT INTO v2 VALUES (99, 1)")
