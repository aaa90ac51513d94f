"""What a refused refresh leaves in the store, and how the next ones mend it."""

from refresher.config.model import Checks
from refresher.errors import FailureReason
from refresher.postgres.sessions import Connection
from refresher.runs import Outcome
from refresher.store.verdicts import read_broken_checks
from tests.integration.refresh.conftest import Workshop


def broken(workshop: Workshop) -> dict[str, str]:
    found = read_broken_checks(workshop.connection, ["m"]).get("m", ())
    return {each.check: each.message for each in found}


def test_all_that_is_broken_is_recorded_with_the_failure(workshop: Workshop) -> None:
    checks = Checks(min_rows=20, not_null=("v",), unique=(("id",),), assertion="SELECT false")
    view = workshop.view("m", "SELECT id, nullif(v, 3) AS v FROM t", checks=checks)

    run = workshop.refresh(view)

    assert (run.outcome, run.failure) == (Outcome.FAILED, FailureReason.CHECK)
    assert run.error == (
        "check min_rows: 10 rows, fewer than min_rows 20;"
        " check not_null: v is null in 1 of 10 rows;"
        " check assert: it returned false; the old contents stay"
    )
    assert broken(workshop) == {
        "min_rows": "10 rows, fewer than min_rows 20",
        "not_null": "v is null in 1 of 10 rows",
        "assert": "it returned false",
    }


def test_what_holds_again_goes_though_others_stay_broken(workshop: Workshop) -> None:
    view = workshop.view("m", "SELECT id, v FROM t", checks=Checks(min_rows=20, not_null=("v",)))
    workshop.execute("UPDATE t SET v = NULL WHERE id = 1")
    workshop.refresh(view)
    workshop.execute("UPDATE t SET v = 1 WHERE id = 1")

    workshop.refresh(view)

    assert broken(workshop) == {"min_rows": "10 rows, fewer than min_rows 20"}


def test_another_failure_mends_nothing(workshop: Workshop) -> None:
    view = workshop.view("m", "SELECT id, 1 / v AS v FROM t", checks=Checks(min_rows=20))
    workshop.refresh(view)
    workshop.execute("UPDATE t SET v = 0")

    assert workshop.refresh(view).failure is FailureReason.DEFINITION
    assert list(broken(workshop)) == ["min_rows"]


def test_a_success_mends_without_waiting_for_whoever_writes_verdicts(
    workshop: Workshop, bystander: Connection
) -> None:
    view = workshop.view("m", "SELECT id FROM t", checks=Checks(min_rows=11))
    workshop.refresh(view)
    workshop.execute("INSERT INTO t VALUES (11, 11)")
    with bystander.transaction():
        bystander.execute("UPDATE refresher.verdict SET message = 'crossing' WHERE view = 'm'")

        assert workshop.refresh(view).outcome is Outcome.SUCCEEDED
        assert broken(workshop) == {}
    assert broken(workshop) == {}


def test_columns_are_checked_before_commit_too(workshop: Workshop) -> None:
    checks = Checks(unique=(("id", "gone"),))
    view = workshop.view("m", "SELECT id FROM t", checks=checks)

    workshop.refresh(view)

    assert broken(workshop) == {"unique": "it reads gone, which is missing"}
    assert not workshop.state(view).populated
