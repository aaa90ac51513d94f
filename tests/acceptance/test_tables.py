"""A maintained table from its first plan to its end, by the real commands and the real daemon."""

from typing import Any

import pytest

from tests.acceptance.web import metric
from tests.conftest import Database
from tests.project import Project
from tests.waiting import wait_until

TOTALS = "SELECT customer, count(*) AS orders, sum(amount) AS spent FROM sale GROUP BY customer"
_SALES = """
CREATE TABLE sale (id int PRIMARY KEY, customer int NOT NULL, amount numeric(10, 2) NOT NULL);
INSERT INTO sale SELECT n, n % 10, n FROM generate_series(1, 100) AS n;
"""


def table(query: str = TOTALS, **settings: Any) -> dict[str, Any]:
    return {"kind": "table", "key": ["customer"], "query": query, **settings}


@pytest.fixture
def shop(project: Project, database: Database) -> Project:
    with database.connect() as connection:
        connection.execute(_SALES)
    return project


def test_the_life_of_a_table(shop: Project, database: Database) -> None:
    shop.configure({"totals": table(schedule={"every": "1s"}, indexes=[{"columns": ["spent"]}])})
    assert shop.run("validate", "--database").code == 0
    assert shop.run("plan").code == 10
    assert "3 steps done" in shop.run("apply").stdout
    assert shop.run("plan").stdout == "no changes\n"
    with database.connect() as connection, shop.daemon() as daemon:
        first = daemon.wait_for_log("run.succeeded", view="totals", trigger="schedule")
        assert (first["strategy"], first["rows"]) == ("merge", 10)
        connection.execute("INSERT INTO sale VALUES (101, 3, 7), (102, 77, 1)")
        changed = daemon.wait_for_log("run.succeeded", view="totals", rows_inserted=1)
        assert (changed["rows_updated"], changed["rows_deleted"], changed["rows"]) == (1, 0, 11)
        totals = 'database="crm",view="totals"'
        succeeded = f'{totals},strategy="merge",outcome="succeeded"'
        assert (metric(daemon, f"refresher_refresh_runs_total{{{succeeded}}}") or 0) > 0
        assert metric(daemon, f"refresher_view_populated{{{totals}}}") == 1
        wait_until(
            lambda: metric(daemon, f"refresher_view_rows{{{totals}}}") == 11, what="its rows"
        )
        assert (metric(daemon, f"refresher_view_size_bytes{{{totals}}}") or 0) > 0
        (state,) = shop.run("status", "--json").json()
        assert (state["kind"], state["state"]) == ("table", "fresh")
        freshness = shop.run("freshness", "totals")
        assert "public.sale" in freshness.stdout
        assert daemon.stop() == 0
    newest = shop.run("history", "totals", "--json").json()[0]
    assert newest["strategy"] == "merge"
    assert newest["reason"].startswith("readers go on; last took ")


def test_another_query_is_swapped_under_readers(shop: Project, database: Database) -> None:
    shop.configure({"totals": table()})
    shop.apply()
    shop.configure({"totals": table(f"{TOTALS} HAVING count(*) > 0 AND customer > 4")})
    with database.connect() as reader, reader.transaction():
        assert reader.execute("SELECT count(*) AS rows FROM sale").fetchone() == {"rows": 100}
        done = shop.run("apply")
        assert done.code == 0, done.stderr
        assert reader.execute("SELECT count(*) AS rows FROM totals").fetchone() == {"rows": 5}
    assert shop.run("plan").stdout == "no changes\n"


def test_it_is_imported_as_it_stands(shop: Project) -> None:
    shop.configure({"totals": table(indexes=[{"columns": ["spent"]}])})
    shop.apply()
    (shop.folder / "config.yaml").unlink()
    (shop.folder / "sql" / "totals.sql").unlink()
    imported = shop.run("import")
    assert imported.code == 0, imported.stderr
    text = (shop.folder / "config.yaml").read_text()
    assert "kind: table" in text
    assert "key: [customer]" in text
    assert text.count("columns:") == 1
    assert shop.run("plan").stdout == "no changes\n"


def test_the_doctor_has_nothing_to_say_of_it(shop: Project) -> None:
    shop.configure({"totals": table()})
    shop.apply()
    assert "totals" not in shop.run("doctor", "--json").stdout


def test_no_other_strategy_can_be_asked_for(shop: Project) -> None:
    shop.configure({"totals": table()})
    done = shop.run("run-now", "totals", "--strategy", "full")
    assert done.code == 2
    assert "'totals' is of the kind table, which is refreshed by merge only" in done.stderr


def test_a_repeated_key_is_refused_with_examples(shop: Project, database: Database) -> None:
    shop.configure({"totals": table()})
    shop.apply()
    with database.connect() as connection:
        connection.execute(
            'CREATE OR REPLACE VIEW refresher."public.totals" AS SELECT customer,'
            " count(*) AS orders, sum(amount) AS spent FROM sale GROUP BY customer, id % 20"
        )
        done = shop.run("run-now", "totals")
        assert done.code == 1
        assert "has 10 values in more than one of 20 rows of the query, such as (" in done.stderr
        row = connection.execute("SELECT count(*) AS rows FROM totals").fetchone()
        assert row == {"rows": 10}


def test_it_goes_with_its_query(shop: Project, database: Database) -> None:
    shop.configure({"totals": table()})
    shop.apply()
    assert shop.run("destroy", "totals", "--yes").code == 0
    with database.connect() as connection:

        def left() -> list[Any]:
            return connection.execute(
                "SELECT relname FROM pg_class WHERE relname LIKE '%%totals%%'"
            ).fetchall()

        wait_until(lambda: not left(), what="nothing of it")
