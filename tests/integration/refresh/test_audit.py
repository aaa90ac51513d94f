"""Audits: what a refresh wrote is compared with the query in the refresh's own snapshot."""

from datetime import timedelta
from typing import Any

import pytest

from refresher.config.model import Audit
from refresher.errors import FailureReason
from refresher.events import VerifyMismatch
from refresher.runs import Outcome
from tests.integration.refresh.conftest import Workshop

AUDIT = Audit(every=timedelta(hours=1), sample=100)


def mismatches(workshop: Workshop) -> list[VerifyMismatch]:
    return [event for event in workshop.events if isinstance(event, VerifyMismatch)]


def audited_at(workshop: Workshop) -> Any:
    return workshop.execute("SELECT audited_at FROM refresher.state")[0]["audited_at"]


def make(workshop: Workshop, kind: str, query: str, **fields: Any) -> Any:
    return getattr(workshop, kind)("v", query, audit=AUDIT, **fields)


@pytest.fixture(params=["table", "view"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_what_the_sources_changed_before_is_no_mismatch(workshop: Workshop, kind: str) -> None:
    view = make(workshop, kind, "SELECT id, v FROM t")
    first = workshop.refresh(view)
    assert audited_at(workshop) == first.as_of
    workshop.execute("UPDATE t SET v = v + 1; DELETE FROM t WHERE id = 5")
    workshop.execute("UPDATE refresher.state SET audited_at = audited_at - interval '2 hours'")
    second = workshop.refresh(view)
    assert audited_at(workshop) == second.as_of
    assert mismatches(workshop) == []
    assert ("corrected", "") not in workshop.tallies(view)


def test_it_is_done_when_it_is_due(workshop: Workshop, kind: str) -> None:
    view = make(workshop, kind, "SELECT id, random() AS v FROM t")
    first = workshop.refresh(view)
    workshop.refresh(view)
    assert audited_at(workshop) == first.as_of
    assert len(mismatches(workshop)) == 1


def test_a_query_that_answers_differently_each_time_is_told(workshop: Workshop, kind: str) -> None:
    view = make(workshop, kind, "SELECT id, random() AS v FROM t")
    run = workshop.refresh(view)
    assert run.outcome is Outcome.SUCCEEDED
    assert mismatches(workshop) == [
        VerifyMismatch(database="crm", view="v", rows=10, of=10, keys=("id=1", "id=2", "id=3"))
    ]
    assert workshop.tallies(view)["corrected", ""] == 10


def test_no_more_rows_are_looked_at_than_configured(workshop: Workshop, kind: str) -> None:
    view = getattr(workshop, kind)("v", "SELECT id, random() AS v FROM t", audit=Audit(sample=4))
    workshop.refresh(view)
    (told,) = mismatches(workshop)
    assert (told.rows, told.of) == (4, 4)


def test_a_table_that_a_trigger_alters_is_told_and_put_right_as_far_as_that_helps(
    workshop: Workshop,
) -> None:
    view = make(workshop, "table", "SELECT id, v FROM t")
    workshop.execute(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.v := 0; RETURN NEW; END';"
        "CREATE TRIGGER meddle BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION meddle()"
    )
    run = workshop.refresh(view)
    assert [told.rows for told in mismatches(workshop)] == [10]
    assert workshop.rows("v") == workshop.rows("t")
    assert (run.rows, run.rows_inserted, run.rows_updated) == (10, 10, 10)
    assert workshop.tallies(view)["corrected", ""] == 10


def test_rows_that_a_trigger_lets_nobody_write_are_told_again(workshop: Workshop) -> None:
    view = make(workshop, "table", "SELECT id, v FROM t")
    workshop.execute(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.v := 0; RETURN NEW; END';"
        "CREATE TRIGGER meddle BEFORE INSERT OR UPDATE ON v"
        " FOR EACH ROW EXECUTE FUNCTION meddle()"
    )
    for _ in range(2):
        workshop.refresh(view)
        workshop.execute("UPDATE refresher.state SET audited_at = NULL")
    assert [told.rows for told in mismatches(workshop)] == [10, 10]
    assert {row[1] for row in workshop.rows("v")} == {0}


def test_of_a_refresh_that_is_rolled_back_nothing_is_told(workshop: Workshop) -> None:
    view = make(workshop, "view", "SELECT id, random() AS v FROM t", index=None)
    run = workshop.refresh(view)
    assert run.failure is FailureReason.DEFINITION
    assert "to tell its rows apart by" in (run.error or "")
    assert mismatches(workshop) == []
