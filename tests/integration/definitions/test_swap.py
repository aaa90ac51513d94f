"""Definitions that change while others depend on them."""

from collections.abc import Callable

import pytest

from refresher.config.model import Checks, Kind
from tests.integration.definitions.conftest import PLAIN, Workbench, acl


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
        "CREATE VIEW stranger AS SELECT v2.customer, m2.total"
        " FROM v2 JOIN m2 ON m2.odd = v2.customer;"
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
        query="SELECT customer, sum(amount) * 2 AS total, count(*) AS orders FROM v1 GROUP BY 1",
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
    chain.redefine(
        "m1", query="SELECT customer, sum(amount)::bigint AS total FROM v1 GROUP BY customer"
    )
    chain.redefine("v2", query="SELECT customer, total FROM m1 WHERE total > 0")
    before = {name: oid(chain, name) for name in ("v1", "v3", "stranger")}
    left = chain.relations().keys()
    assert chain.apply_well() == [("swap", "m1", "v2", "m2", "v3", "public.stranger")]
    assert chain.relations().keys() == left
    assert before == {name: oid(chain, name) for name in before}
    assert chain.one("SELECT sum(total) FROM v3") == 5050
    chain.execute("INSERT INTO prizes (id) VALUES (1); INSERT INTO v2 VALUES (99, 1)")


def numbers(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10) AS n")


def states(workbench: Workbench) -> dict[str, tuple[bool, int, str]]:
    """Of each view with contents: whether its state is of what stands, rows, and freshness."""
    rows = workbench.execute(
        "SELECT s.view, s.relation = to_regclass(s.view), s.rows, f.state"
        " FROM refresher.state AS s JOIN refresher.freshness AS f USING (view) ORDER BY view"
    )
    return {view: (current, number, state) for view, current, number, state in rows}


def test_the_kind_of_a_view_may_change_and_change_back(workbench: Workbench) -> None:
    numbers(workbench)
    workbench.define("a", "SELECT id FROM t", PLAIN, comment="c")
    workbench.define("b", "SELECT id FROM a", PLAIN)
    workbench.apply_well()
    before = oid(workbench, "b")

    workbench.redefine("a", kind=Kind.MATERIALIZED_VIEW, key=("id",))
    assert workbench.apply_well() == [("swap", "a", "b")]
    assert workbench.relations() == {"t": "r", "a": "m", "a_id_key": "i", "b": "v"}
    assert states(workbench) == {"a": (True, 10, "fresh")}
    assert workbench.execute("SELECT outcome, rows FROM refresher.run") == [("succeeded", 10)]

    workbench.redefine("a", kind=PLAIN, key=())
    assert workbench.apply_well() == [("swap", "a", "b")]
    assert workbench.relations() == {"t": "r", "a": "v", "b": "v"}
    assert workbench.execute("SELECT view, state FROM refresher.freshness ORDER BY 1") == [
        ("a", "fresh"),
        ("b", "fresh"),
    ]
    assert oid(workbench, "b") == before
    assert workbench.one("SELECT obj_description('a'::regclass)") == "c"


def test_what_is_missing_between_is_built_where_it_is_needed(workbench: Workbench) -> None:
    numbers(workbench)
    workbench.define("m1", "SELECT id FROM t", key=("id",))
    workbench.define("p", "SELECT id FROM m1", PLAIN)
    workbench.define("m2", "SELECT id FROM p", key=("id",))
    workbench.define("q", "SELECT id FROM m2", PLAIN)
    workbench.apply_well()
    workbench.execute(
        "DROP VIEW p CASCADE; CREATE MATERIALIZED VIEW m2 AS SELECT 1 AS id;"
        " CREATE VIEW q AS SELECT 1 AS id"
    )

    workbench.redefine("m1", query="SELECT id FROM t WHERE id > 3")

    assert workbench.apply_well() == [("swap", "m1", "p", "m2"), ("replace", "q")]
    assert workbench.one("SELECT count(*) FROM q") == 7


def test_a_plain_view_between_two_that_change_is_exchanged_with_them(workbench: Workbench) -> None:
    numbers(workbench)
    workbench.define("m1", "SELECT id FROM t", key=("id",))
    workbench.define("p", "SELECT id FROM m1", PLAIN)
    workbench.define("m2", "SELECT id FROM p", key=("id",))
    workbench.define("q", "SELECT id FROM m2", PLAIN)
    workbench.apply_well()
    before = oid(workbench, "q")

    workbench.redefine("m1", query="SELECT id, id * 2 AS twice FROM t WHERE id > 5")
    workbench.redefine("p", query="SELECT id, twice FROM m1")
    workbench.redefine("m2", query="SELECT id, twice FROM p WHERE id > 4")

    assert workbench.apply_well() == [("swap", "m1", "p", "m2", "q")]
    assert workbench.one("SELECT count(*) FROM q") == 5
    assert oid(workbench, "q") == before
    assert states(workbench) == {"m1": (True, 5, "fresh"), "m2": (True, 5, "fresh")}


def test_two_that_change_take_along_who_reads_both(workbench: Workbench) -> None:
    numbers(workbench)
    workbench.define("m1", "SELECT id FROM t", key=("id",))
    workbench.define("m2", "SELECT id FROM t", key=("id",))
    workbench.define("r", "SELECT m1.id FROM m1 JOIN m2 USING (id)", key=("id",))
    workbench.define("v", "SELECT id FROM r UNION SELECT id FROM m1", PLAIN)
    workbench.apply_well()
    before = dict(workbench.execute("SELECT view, as_of FROM refresher.state"))

    workbench.redefine("m1", query="SELECT id FROM t WHERE id > 3")
    workbench.redefine("m2", query="SELECT id FROM t WHERE id < 9")

    assert workbench.apply_well() == [("swap", "m1", "m2", "r", "v")]
    assert states(workbench) == {
        "m1": (True, 7, "fresh"),
        "m2": (True, 8, "fresh"),
        "r": (True, 5, "fresh"),
    }
    after = dict(workbench.execute("SELECT view, as_of FROM refresher.state"))
    assert all(after[view] > before[view] for view in before)
    data = dict(workbench.execute("SELECT view, data_as_of FROM refresher.state"))
    assert data == {"m1": after["m1"], "m2": after["m2"], "r": min(after["m1"], after["m2"])}
    runs = "SELECT view, trigger, outcome FROM refresher.run ORDER BY id OFFSET 3"
    assert workbench.execute(runs) == [
        (view, "populate", "succeeded") for view in ("m1", "m2", "r")
    ]


def test_contents_that_break_a_check_are_never_shown(workbench: Workbench) -> None:
    numbers(workbench)
    workbench.define("m", "SELECT id FROM t", key=("id",), checks=Checks(min_rows=5))
    workbench.define("v", "SELECT id FROM m", PLAIN)
    workbench.apply_well()
    stands = workbench.relations()
    before = workbench.execute("SELECT * FROM refresher.state")

    workbench.redefine("m", query="SELECT id FROM t WHERE id > 9")
    errors = workbench.errors()

    assert errors["m"].startswith("check min_rows: 1 rows, fewer than min_rows 5")
    assert workbench.relations() == stands
    assert workbench.execute("SELECT * FROM refresher.state") == before
    assert workbench.one("SELECT count(*) FROM v") == 10
    run = "SELECT outcome, failure FROM refresher.run ORDER BY id DESC LIMIT 1"
    assert workbench.execute(run) == [("failed", "check")]
    assert workbench.kinds() == [("swap", "m", "v")]


def test_a_key_that_repeats_is_found_beside(workbench: Workbench) -> None:
    numbers(workbench)
    workbench.define("m", "SELECT id FROM t", key=("id",))
    workbench.apply_well()
    stands = workbench.relations()

    workbench.redefine("m", query="SELECT id / 2 AS id FROM t")

    (told,) = workbench.errors().values()
    assert told.startswith("rows of m repeat in what index m_id_key wants unique")
    assert workbench.relations() == stands
    assert workbench.one("SELECT count(*) FROM m") == 10
    run = "SELECT outcome, failure FROM refresher.run ORDER BY id DESC LIMIT 1"
    assert workbench.execute(run) == [("failed", "not_unique")]


def test_a_reader_who_stays_is_never_harmed_and_others_read_on(workbench: Workbench) -> None:
    numbers(workbench)
    workbench.define("m", "SELECT id FROM t", key=("id",))
    workbench.define("v", "SELECT id FROM m", PLAIN)
    workbench.apply_well()
    workbench.redefine("m", query="SELECT id FROM t WHERE id > 1")
    waits = 0

    with workbench.database.connect() as reader, workbench.database.connect() as other:
        other.execute("SET statement_timeout = '5s'")
        reader.execute("BEGIN")
        reader.execute("SELECT FROM v")

        def tell(activity: str) -> None:
            nonlocal waits
            if activity == "m: waiting for readers, who come first":
                waits += 1
                assert other.execute("SELECT count(*) AS n FROM v").fetchone() == {"n": 10}
                assert reader.execute("SELECT count(*) AS n FROM m").fetchone() == {"n": 10}
                if waits == 2:
                    reader.execute("COMMIT")

        assert workbench.apply(tell=tell).succeeded

    assert waits == 2
    assert workbench.one("SELECT count(*) FROM v") == 9


def test_whatever_owns_a_view_keeps_it(workbench: Workbench, make_role: Callable[..., str]) -> None:
    owner, reader = make_role("owner"), make_role("reader")
    workbench.execute(
        f"GRANT CREATE ON SCHEMA public TO {owner}; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES"
        f" TO {reader}; CREATE TABLE t AS SELECT 1 AS id; GRANT SELECT ON t TO {owner}"
    )
    workbench.define(
        "m", "SELECT id FROM t", owner=owner, grants={reader: ("select with grant option",)}
    )
    workbench.define("n", "SELECT id FROM m", owner=owner)
    workbench.define("v", "SELECT id FROM n", PLAIN)
    workbench.apply_well()
    workbench.execute(f"ALTER VIEW v OWNER TO {owner}; GRANT UPDATE ON v TO {reader}")
    before = {name: acl(workbench, name) for name in "mnv"}

    workbench.redefine("m", query="SELECT id::bigint FROM t")

    assert workbench.apply_well() == [("swap", "m", "n", "v")]
    assert {name: acl(workbench, name) for name in "mnv"} == before
    assert before["m"] == [f"{owner}=all/{owner}", f"{reader}=r*/{owner}"]
    owners = (
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname IN ('m', 'n', 'v')"
    )
    assert workbench.execute(owners) == [(owner,)]
    workbench.execute(f"ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM {reader}")


def test_a_refresh_that_reads_what_is_exchanged_is_let_end_first(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t AS SELECT 1 AS id")
    workbench.define("low", "SELECT id FROM t", key=("id",))
    workbench.define("between", "SELECT id FROM low", PLAIN)
    workbench.define("high", "SELECT id FROM between", key=("id",))
    workbench.apply_well()
    workbench.redefine("low", query="SELECT id + 1 AS id FROM t")
    waited: list[str] = []

    with workbench.database.connect() as refreshing:
        refreshing.execute("BEGIN")
        refreshing.execute("SELECT FROM refresher.fence WHERE view = 'high' FOR NO KEY UPDATE")

        def tell(activity: str) -> None:
            waited.append(activity)
            if activity == "low: waiting for the end of a refresh":
                refreshing.execute("COMMIT")

        applied = workbench.apply(tell=tell)

    assert applied.succeeded
    assert "low: exchanging" in waited[waited.index("low: waiting for the end of a refresh") :]
    assert workbench.execute("SELECT id FROM high") == [(2,)]
