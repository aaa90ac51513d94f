import math

import pytest

from refresher.demo.crm import LOADING_STEPS, customers_at
from refresher.postgres.queries import load_queries


def test_scale_one_is_the_incident() -> None:
    assert customers_at(1) == 15_549


@pytest.mark.parametrize(("scale", "customers"), [(0.01, 155), (2, 31_098), (0.00001, 1)])
def test_scale_multiplies_the_customers(scale: float, customers: int) -> None:
    assert customers_at(scale) == customers


@pytest.mark.parametrize("scale", [0, -1, 101, math.inf, math.nan])
def test_a_scale_that_can_not_be_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="a scale is above 0"):
        customers_at(scale)


def test_every_query_that_loads_is_a_step() -> None:
    assert load_queries("refresher.demo", "data.sql").names() == set(LOADING_STEPS)
    assert len(LOADING_STEPS) == len(set(LOADING_STEPS))
