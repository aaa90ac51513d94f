"""Looking for drift tells everything at once, changes nothing, and stands in nobody's way."""

import psycopg
import pytest

from refresher.definitions.compare import Aspect
from refresher.definitions.look import look_for_drift
from refresher.errors import CatalogError
from tests.integration.definitions.conftest import PLAIN, Workbench, define_chain


def look(workbench: Workbench) -> dict[str, list[Aspect]]:
    found: dict[str, list[Aspect]] = {}
    for drift in look_for_drift(workbench.session.connection(), workbench.views):
        found.setdefault(drift.view, []).append(drift.aspect)
    return found


def test_nothing_differs_after_an_apply_and_nothing_is_changed(workbench: Workbench) -> None:
    define_chain(workbench)
    workbench.apply_well()
    before = workbench.catalog()

    assert look(workbench) == {}

    assert workbench.catalog() == before


def test_every_alteration_by_hand_is_found(workbench: Workbench) -> None:
    define_chain(workbench, comment="as configured")
    workbench.apply_well()

    workbench.execute(
        "COMMENT ON VIEW paid IS 'by hand'; DROP INDEX totals_total_idx;"
        " DROP MATERIALIZED VIEW best;"
        " CREATE OR REPLACE VIEW big_totals AS SELECT * FROM totals WHERE total > 11"
    )

    assert look(workbench) == {
        "paid": [Aspect.COMMENT],
        "totals": [Aspect.INDEXES],
        "best": [Aspect.MISSING],
        "big_totals": [Aspect.DEFINITION],
    }


def test_a_refused_definition_is_drift_and_hides_no_others(workbench: Workbench) -> None:
    define_chain(workbench, comment="as configured")
    workbench.apply_well()
    workbench.redefine("big_totals", query="SELECT customer,\n  no_such\nFROM totals")
    workbench.execute("COMMENT ON VIEW paid IS 'by hand'")

    found = look_for_drift(workbench.session.connection(), workbench.views)

    refused = {drift.view: drift for drift in found}["big_totals"]
    assert refused.aspect is Aspect.DEFINITION
    assert "big_totals.sql:2" in refused.message
    assert 'column "no_such" does not exist' in refused.message
    # Those that read it are compared with what stands.
    assert {drift.view for drift in found} == {"paid", "big_totals"}


def test_a_view_that_is_neither_there_nor_possible_says_why(workbench: Workbench) -> None:
    workbench.define("broken", "SELECT * FROM no_such_table")

    (found,) = look_for_drift(workbench.session.connection(), workbench.views)

    assert (found.view, found.aspect) == ("broken", Aspect.DEFINITION)
    assert "no_such_table" in found.message


def test_what_is_new_is_missing_even_where_it_reads_what_is_new(workbench: Workbench) -> None:
    # More than are looked at together.
    names = [f"v{number:02}" for number in range(40)]
    for name in names[:-1]:
        workbench.define(name, "SELECT 1 AS id", PLAIN)
    workbench.define(names[-1], f"SELECT * FROM {names[0]}", PLAIN)

    assert look(workbench) == {name: [Aspect.MISSING] for name in names}


def test_where_there_are_many_there_are_rests_without_locks(workbench: Workbench) -> None:
    for number in range(60):
        workbench.define(f"v{number:02}", "SELECT 1 AS id", PLAIN)
    connection = workbench.session.connection()
    rests = []

    def rest(worked: float) -> None:
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        rests.append(worked)

    assert len(look_for_drift(connection, workbench.views, rest=rest)) == 60
    assert len(rests) == 2
    assert min(rests) > 0


def test_whoever_rests_may_end_the_look(workbench: Workbench) -> None:
    for number in range(60):
        workbench.define(f"v{number:02}", "SELECT 1 AS id", PLAIN)

    def rest(_: float) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        look_for_drift(workbench.session.connection(), workbench.views, rest=rest)
    assert len(look(workbench)) == 60


def test_whoever_holds_a_lock_is_given_way_to(workbench: Workbench) -> None:
    define_chain(workbench)
    workbench.apply_well()

    with workbench.connection.transaction():
        workbench.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            look(workbench)

    assert look(workbench) == {}


def test_what_is_missing_for_all_is_told_as_one(workbench: Workbench) -> None:
    define_chain(workbench, grants={"no_such_role": ("select",)})

    with pytest.raises(CatalogError, match="CREATE ROLE no_such_role"):
        look(workbench)
