from typing import Any

import pytest

from refresher.errors import FailureReason
from refresher.names import RelationName
from refresher.refresh.choose import Choice, ChooseFacts, Impossible, choose
from refresher.runs import Strategy


def facts(**fields: Any) -> ChooseFacts:
    """A populated view with a unique index, `auto`, and nothing measured yet."""
    return ChooseFacts(
        **{
            "strategy": "auto",
            "allow_blocking": False,
            "populated": True,
            "unique_index": "customer_sources_key",
            "relation": RelationName("public", "customer_sources"),
            "key": ("customer_id",),
            "rows": None,
            "full_seconds": None,
            "concurrent_seconds": None,
            "concurrent_churn": None,
            **fields,
        }
    )


def refusal(**fields: Any) -> str:
    found = choose(facts(unique_index=None, **fields))
    assert isinstance(found, Impossible)
    assert found.reason is FailureReason.DEFINITION
    return found.message


@pytest.mark.parametrize("strategy", ["auto", Strategy.FULL, Strategy.CONCURRENT])
@pytest.mark.parametrize("index", [None, "customer_sources_key"])
def test_a_view_is_first_filled_whole(strategy: Any, index: str | None) -> None:
    found = choose(facts(strategy=strategy, populated=False, unique_index=index))
    assert found == Choice(Strategy.FULL, "never populated")


@pytest.mark.parametrize("strategy", [Strategy.FULL, Strategy.CONCURRENT])
def test_a_configured_strategy_is_taken(strategy: Strategy) -> None:
    numbers = {"rows": 10, "full_seconds": 0.1, "concurrent_seconds": 9.0, "concurrent_churn": 10}
    found = choose(facts(strategy=strategy, allow_blocking=True, **numbers))
    assert found == Choice(strategy, "configured")


def test_full_needs_no_index() -> None:
    found = choose(facts(strategy=Strategy.FULL, unique_index=None))
    assert found == Choice(Strategy.FULL, "configured")


def test_readers_go_on_unless_blocking_is_allowed() -> None:
    numbers = {"rows": 15_549, "full_seconds": 0.1, "concurrent_seconds": 1.2}
    found = choose(facts(**numbers, concurrent_churn=62))
    assert found == Choice(Strategy.CONCURRENT, "readers go on; last took 1.2s, churn 0.4%")
    assert choose(facts()) == Choice(Strategy.CONCURRENT, "readers go on")


def test_where_blocking_is_allowed_the_cheaper_one_is_taken() -> None:
    full = choose(facts(allow_blocking=True, full_seconds=0.25, concurrent_seconds=1.2))
    assert full == Choice(Strategy.FULL, "last took 250ms, the last concurrent run 1.2s")
    concurrent = choose(facts(allow_blocking=True, full_seconds=11.3, concurrent_seconds=1.2))
    assert concurrent == Choice(Strategy.CONCURRENT, "readers go on; last took 1.2s")


@pytest.mark.parametrize(
    ("churn", "strategy"), [(49, Strategy.CONCURRENT), (50, Strategy.FULL), (120, Strategy.FULL)]
)
def test_much_churn_is_a_reason_to_measure_a_full_run(churn: int, strategy: Strategy) -> None:
    found = choose(facts(allow_blocking=True, rows=100, concurrent_churn=churn))
    assert isinstance(found, Choice)
    assert found.strategy is strategy
    assert f"{churn}" in found.reason


def test_a_measured_full_run_outweighs_churn() -> None:
    numbers = {"rows": 100, "concurrent_churn": 90, "full_seconds": 5.0, "concurrent_seconds": 3.0}
    found = choose(facts(allow_blocking=True, **numbers))
    assert found == Choice(Strategy.CONCURRENT, "readers go on; last took 3.0s, churn 90.0%")


def test_an_empty_view_has_no_share_of_churn() -> None:
    found = choose(facts(allow_blocking=True, rows=0, concurrent_churn=5))
    assert found == Choice(Strategy.CONCURRENT, "readers go on")


def test_without_an_index_auto_may_block_only_where_allowed() -> None:
    found = choose(facts(unique_index=None, allow_blocking=True))
    assert found == Choice(Strategy.FULL, "no unique index, and blocking is allowed")
    assert "`allow_blocking: true`" in refusal()


def test_without_an_index_concurrent_is_impossible_even_where_blocking_is_allowed() -> None:
    assert "`strategy: full`" in refusal(strategy=Strategy.CONCURRENT, allow_blocking=True)


def test_the_refusal_prints_the_index_to_add() -> None:
    assert "`CREATE UNIQUE INDEX ON public.customer_sources (customer_id)`" in refusal()
    assert "`refresher apply`" in refusal()


def test_the_printed_index_is_quoted_where_needed() -> None:
    message = refusal(relation=RelationName("Sales", 'a"b'), key=("user", "Id"))
    assert 'CREATE UNIQUE INDEX ON "Sales"."a""b" ("user", "Id")' in message


def test_without_a_key_the_refusal_asks_for_one() -> None:
    message = refusal(key=())
    assert "set the view's `key`" in message
    assert "(<columns that identify a row>)" in message


@pytest.mark.parametrize("strategy", ["auto", Strategy.MERGE, Strategy.FULL])
@pytest.mark.parametrize("populated", [True, False])
def test_a_table_is_merged_whatever_is_asked_for(strategy: Any, *, populated: bool) -> None:
    found = choose(
        facts(only=Strategy.MERGE, strategy=strategy, populated=populated, unique_index=None)
    )
    assert found == Choice(Strategy.MERGE, "readers go on")


def test_what_a_merge_took_and_changed_is_told() -> None:
    numbers = {"rows": 1_000_000, "merge_seconds": 11.3, "merge_churn": 1_000}
    found = choose(facts(only=Strategy.MERGE, **numbers))
    assert found == Choice(Strategy.MERGE, "readers go on; last took 11.3s, churn 0.1%")
