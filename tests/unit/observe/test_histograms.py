from typing import Any

import pytest

from refresher.events import DatabaseUp, RunFinished
from refresher.observe.histograms import Histograms
from refresher.runs import Outcome, Trigger
from tests.snapshots import make_run


def numbers(histograms: Histograms, name: str, **labels: str) -> dict[str, float]:
    """The samples of one histogram's series, by `le`, `count` and `sum`."""
    return {
        sample.labels.get("le", sample.name.rpartition("_")[2]): sample.value
        for family in histograms.collect()
        for sample in family.samples
        if family.name == name and labels.items() <= sample.labels.items()
    }


@pytest.fixture
def histograms() -> Histograms:
    made = Histograms()
    made.keep_databases(["crm"])
    return made


def test_series_stand_at_zero_from_the_start(histograms: Histograms) -> None:
    families = {family.name: family for family in histograms.collect()}

    assert set(families) == {
        "refresher_refresh_duration_seconds",
        "refresher_refresh_wait_seconds",
        "refresher_schedule_lateness_seconds",
    }
    assert {sample.value for family in families.values() for sample in family.samples} == {0}
    assert numbers(histograms, "refresher_refresh_wait_seconds", phase="lock")["+Inf"] == 0


def test_a_run_is_counted(histograms: Histograms) -> None:
    histograms.listen(RunFinished(database="crm", run=make_run()))

    duration = numbers(
        histograms,
        "refresher_refresh_duration_seconds",
        database="crm",
        strategy="concurrent",
        outcome="succeeded",
    )
    assert (duration["1.0"], duration["3.0"], duration["+Inf"]) == (0, 1, 1)
    assert (duration["count"], duration["sum"]) == (1, 2)
    assert numbers(histograms, "refresher_refresh_wait_seconds", phase="queue")["sum"] == 0.25
    assert numbers(histograms, "refresher_refresh_wait_seconds", phase="lock")["sum"] == 0.125
    assert numbers(histograms, "refresher_schedule_lateness_seconds")["sum"] == 1.0


def test_a_bound_is_part_of_its_bucket(histograms: Histograms) -> None:
    histograms.listen(RunFinished(database="crm", run=make_run(duration_seconds=3.0)))

    duration = numbers(
        histograms, "refresher_refresh_duration_seconds", strategy="concurrent", outcome="succeeded"
    )
    assert (duration["1.0"], duration["3.0"]) == (0, 1)


def test_four_hours_and_more_are_told_apart(histograms: Histograms) -> None:
    for seconds in (14_400.0, 14_401.0):
        histograms.listen(RunFinished(database="crm", run=make_run(duration_seconds=seconds)))

    duration = numbers(
        histograms, "refresher_refresh_duration_seconds", strategy="concurrent", outcome="succeeded"
    )
    assert (duration["14400.0"], duration["+Inf"]) == (1, 2)


def test_a_run_that_chose_no_strategy_and_waited_for_no_lock(histograms: Histograms) -> None:
    run = make_run(outcome=Outcome.FAILED, strategy=None, lock_wait_seconds=None)

    histograms.listen(RunFinished(database="crm", run=run))

    failed = numbers(
        histograms, "refresher_refresh_duration_seconds", strategy="", outcome="failed"
    )
    assert failed["count"] == 1
    assert numbers(histograms, "refresher_refresh_wait_seconds", phase="lock")["count"] == 0


@pytest.mark.parametrize("changes", [{"trigger": Trigger.MANUAL}, {"attempt": 2}])
def test_only_a_scheduled_first_attempt_can_be_late(
    histograms: Histograms, changes: dict[str, Any]
) -> None:
    histograms.listen(RunFinished(database="crm", run=make_run(**changes)))

    assert numbers(histograms, "refresher_schedule_lateness_seconds")["count"] == 0


def test_other_events_count_nothing(histograms: Histograms) -> None:
    histograms.listen(DatabaseUp(database="crm"))

    values = {sample.value for family in histograms.collect() for sample in family.samples}
    assert values == {0}
