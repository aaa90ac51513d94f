"""The configuration a user copies, and the one the demo ships, load as they are."""

from importlib.resources import as_file, files
from pathlib import Path

import pytest

from refresher.config.load import load_config
from refresher.config.model import AfterUpstream, Config, Every, Kind, Secret
from refresher.demo.crm import CUSTOMERS
from refresher.demo.cure import REFRESH_EVERY, demo_config
from refresher.demo.place import Place
from refresher.durations import parse_duration

TOP = Path(__file__).parents[3] / "config.yaml"
PLACE = Place(owner=Secret("host=/run/x dbname=refresher_demo password='p$a {s}'"), readers={})


def at_the_top() -> Config:
    return load_config(TOP, {"DATABASE_URL": "postgresql://crm@localhost/crm"})


def test_the_example_loads_with_nothing_but_its_url() -> None:
    config = at_the_top()
    assert {name: view.kind for name, view in config.views.items()} == {
        "customer_orders_v": Kind.VIEW,
        "customer_sources": Kind.MATERIALIZED_VIEW,
        "customer_metrics": Kind.COLUMNS,
        "source_performance": Kind.MATERIALIZED_VIEW,
        "customers_crm_v": Kind.VIEW,
    }
    sources = config.views["customer_sources"]
    assert sources.schedule == Every(every=parse_duration("15m"))
    assert sources.key == ("customer_id",)
    assert sources.checks.min_rows == 15_000
    assert config.views["source_performance"].schedule == AfterUpstream()
    assert {path.name for path in config.files} == {
        "config.yaml",
        *(f"{name}.sql" for name in config.views),
    }


def test_the_demo_ships_the_same_configuration() -> None:
    with as_file(files("refresher.demo")) as folder:
        shipped = load_config(folder / "config.yaml", {"DATABASE_URL": "dbname=crm"})
    example = at_the_top()
    assert shipped.server == example.server
    for name, view in shipped.views.items():
        other = example.views[name]
        assert (view.query, view.schedule, view.checks) == (
            other.query,
            other.schedule,
            other.checks,
        )


@pytest.mark.parametrize(
    ("customers", "fewest"), [(1, 0), (155, 149), (CUSTOMERS, 15_000), (2 * CUSTOMERS, 30_000)]
)
def test_the_demo_fills_in_its_place_and_size(customers: int, fewest: int) -> None:
    config = demo_config(PLACE, customers)
    assert config.databases["crm"].conninfo == PLACE.owner
    sources = config.views["customer_sources"]
    assert sources.schedule == Every(every=REFRESH_EVERY)
    assert sources.checks.min_rows == fewest
