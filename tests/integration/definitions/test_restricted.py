"""PostgreSQL 17 and later refresh with hardly a search_path: found while planning."""

import pytest

from refresher.errors import ConfigError
from tests.integration.definitions.conftest import PLAIN, Workbench

FUNCTIONS = {
    "sql": "CREATE FUNCTION price(n int) RETURNS int LANGUAGE sql STABLE AS"
    " 'SELECT max(prices.price) FROM prices WHERE prices.id = n'",
    "plpgsql": "CREATE FUNCTION price(n int) RETURNS int LANGUAGE plpgsql AS"
    " 'BEGIN RETURN (SELECT max(prices.price) FROM prices WHERE prices.id = n); END'",
}
HARMLESS = {
    "schema": "CREATE FUNCTION price(n int) RETURNS int LANGUAGE plpgsql AS"
    " 'BEGIN RETURN (SELECT max(p.price) FROM public.prices AS p WHERE p.id = n); END'",
    "setting": "CREATE FUNCTION price(n int) RETURNS int LANGUAGE plpgsql"
    " SET search_path = public AS"
    " 'BEGIN RETURN (SELECT max(prices.price) FROM prices WHERE prices.id = n); END'",
    "body": "CREATE FUNCTION price(n int) RETURNS int LANGUAGE sql"
    " BEGIN ATOMIC SELECT max(prices.price) FROM prices WHERE prices.id = n; END",
}


@pytest.fixture
def shop(workbench: Workbench) -> Workbench:
    workbench.execute(
        "CREATE TABLE prices AS SELECT n AS id, n AS price FROM generate_series(1, 3) n"
    )
    return workbench


@pytest.mark.pg(">= 17")
@pytest.mark.parametrize("language", FUNCTIONS)
@pytest.mark.parametrize("through", ["itself", "a missing view", "a view that changes"])
def test_a_definition_that_could_not_be_refreshed_is_refused(
    shop: Workbench, language: str, through: str
) -> None:
    shop.execute(FUNCTIONS[language])
    if through == "itself":
        shop.define("v", "SELECT id, price(id) AS price FROM prices")
    else:
        if through == "a view that changes":
            shop.execute("CREATE VIEW priced AS SELECT id FROM prices")
        shop.define("priced", "SELECT id, price(id) AS price FROM prices", PLAIN)
        shop.define("v", "SELECT id, price FROM priced")
    before = shop.catalog()

    with pytest.raises(ConfigError) as caught:
        shop.simulate()

    assert str(caught.value).startswith("sql/v.sql: 'v' can't be refreshed: ")
    assert "search_path" in str(caught.value)
    assert "function public.price" in str(caught.value) or "function price" in str(caught.value)
    assert shop.catalog() == before


@pytest.mark.pg("< 17")
@pytest.mark.parametrize("language", FUNCTIONS)
def test_older_servers_refresh_it(shop: Workbench, language: str) -> None:
    shop.execute(FUNCTIONS[language])
    shop.define("v", "SELECT id, price(id) AS price FROM prices")

    shop.apply_well()

    assert shop.execute("SELECT id, price FROM v ORDER BY id") == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("way", HARMLESS)
def test_functions_that_say_what_they_mean_are_fine(shop: Workbench, way: str) -> None:
    shop.execute(HARMLESS[way])
    shop.define("v", "SELECT id, price(id) AS price FROM prices")

    shop.apply_well()

    assert shop.execute("SELECT id, price FROM v ORDER BY id") == [(1, 1), (2, 2), (3, 3)]
