import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from refresher.config.model import Index
from refresher.definitions.result import StepOutcome, StepResult
from refresher.errors import UnreachableError
from refresher.refresh.session import Session
from tests.integration.definitions.conftest import CHAIN, Workbench, acl, define_chain


def test_a_chain_is_created_from_nothing_whatever_the_order_it_is_written_in(
    workbench: Workbench,
) -> None:
    define_chain(workbench)

    applied = workbench.apply()

    assert applied.succeeded
    assert [(result.step.kind, *result.step.views) for result in applied.steps] == [
        ("create", "paid"),
        ("create", "totals"),
        ("populate", "totals"),
        ("index", "totals"),
        ("index", "totals"),
        ("create", "big_totals"),
        ("create", "ranked"),
        ("create", "best"),
        ("populate", "best"),
        ("index", "best"),
    ]
    assert (applied.steps[2].detail or "").startswith("10 rows in ")
    assert workbench.kinds() == []
    assert workbench.relations() == {
        "orders": "r",
        **dict.fromkeys(("paid", "big_totals", "ranked"), "v"),
        **dict.fromkeys(("totals", "best"), "m"),
        **dict.fromkeys(("totals_customer_key", "totals_total_idx", "best_customer_key"), "i"),
    }
    assert workbench.execute("SELECT customer FROM best ORDER BY 1") == [(0,), (8,), (9,)]
    states = "SELECT view, state FROM refresher.freshness ORDER BY view"
    assert workbench.execute(states) == [(name, "fresh") for name in sorted(CHAIN)]
    triggers = "SELECT view, trigger, outcome FROM refresher.run ORDER BY id"
    assert workbench.execute(triggers) == [
        ("totals", "populate", "succeeded"),
        ("best", "populate", "succeeded"),
    ]


def test_applying_again_changes_nothing(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    owner, reader = make_role("owner"), make_role("reader")
    workbench.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
    define_chain(workbench, owner=owner, grants={reader: ("select",)}, comment="What it's for")
    workbench.execute(f"GRANT SELECT ON orders TO {owner}")
    workbench.apply_well()
    before = workbench.catalog()

    assert workbench.apply_well() == []
    assert workbench.catalog() == before


class _Interruption(Exception):  # noqa: N818 - it is none of the program's errors
    pass


def raise_one(workbench: Workbench) -> None:
    del workbench
    raise _Interruption


def end_backend(workbench: Workbench) -> None:
    workbench.execute(
        "SELECT pg_terminate_backend(%s)", workbench.session.connection().info.backend_pid
    )


def interrupted(workbench: Workbench, number: int, end: Callable[[Workbench], None]) -> bool:
    """Apply, ending it at something it tells, counted from 0; returns whether it came that far."""
    told: list[str] = []

    def tell(activity: str) -> None:
        told.append(activity)
        if len(told) == number + 1:
            end(workbench)

    with contextlib.suppress(_Interruption, psycopg.OperationalError, UnreachableError):
        workbench.apply(tell=tell)
    return len(told) > number


@pytest.mark.parametrize("end", [raise_one, end_backend])
def test_interrupted_before_any_step_it_goes_on_when_run_again(
    workbench: Workbench, make_role: Callable[..., str], end: Callable[[Workbench], None]
) -> None:
    owner, reader = make_role("owner"), make_role("reader")
    workbench.execute(
        f"GRANT CREATE ON SCHEMA public TO {owner}; CREATE TABLE orders"
        f" (id int, customer int, amount numeric); GRANT SELECT ON orders TO {owner}"
    )
    define_chain(workbench, owner=owner, grants={reader: ("select",)}, comment="Mine")
    del workbench.views["best"], workbench.views["ranked"]
    number = 0

    while interrupted(workbench, number, end):
        workbench.apply_well()
        assert workbench.one("SELECT count(*) FROM big_totals") == 10
        for name in workbench.views:
            assert acl(workbench, name) == [f"{owner}=all/{owner}", f"{reader}=r/{owner}"]
            comment = workbench.one("SELECT obj_description(%s::regclass)", name)
            assert comment == "Mine"
        workbench.execute("DROP VIEW paid CASCADE")
        number += 1

    assert number > 8


def test_a_backend_that_ends_within_a_step_leaves_nothing_half_done(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE FUNCTION dying(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN 1; END$$"
    )
    workbench.define("v", "SELECT 1 AS id", indexes=(Index(expression="dying(id)", name="i"),))

    with pytest.raises(psycopg.OperationalError):
        workbench.apply()
    workbench.execute(
        "CREATE OR REPLACE FUNCTION dying(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'"
    )

    assert workbench.apply_well() == [("index", "v")]
    assert workbench.one("SELECT count(*) FROM refresher.run") == 1


def test_views_are_applied_alone_when_asked_for(workbench: Workbench) -> None:
    define_chain(workbench)

    applied = workbench.apply_well(only={"paid", "totals"})

    assert {view for _, view in applied} == {"paid", "totals"}
    assert "ranked" not in workbench.relations()
    assert ("create", "ranked") in workbench.kinds()


def test_what_is_missing_for_a_view_comes_with_it(workbench: Workbench) -> None:
    define_chain(workbench)
    workbench.apply_well(only={"paid"})
    workbench.redefine("paid", comment="left alone")

    applied = workbench.apply_well(only={"big_totals"})

    assert [(kind, view) for kind, view in applied if kind == "create"] == [
        ("create", "totals"),
        ("create", "big_totals"),
    ]
    assert workbench.kinds(only={"paid"}) == [("alter", "paid")]


def test_several_at_once_do_everything_once(workbench: Workbench) -> None:
    define_chain(workbench)
    at_once = threading.Barrier(4)

    def apply_it(number: int) -> list[StepResult]:
        session = Session(workbench.database.endpoint, worker=f"test/{number}")
        one = Workbench(workbench.database, session.connection(), session, workbench.views)
        at_once.wait()
        try:
            return list(one.apply().steps)
        finally:
            session.discard()

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(apply_it, range(4)))

    assert sorted(map(len, results)) == [0, 0, 0, 10]
    assert {result.outcome for each in results for result in each} == {StepOutcome.DONE}
    assert len(workbench.relations()) == 9
    assert workbench.one("SELECT count(*) FROM refresher.run") == 2
    assert workbench.apply_well() == []


def test_a_role_that_owns_nothing_else_applies_with_what_it_was_granted(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    role, owner = make_role("refresher"), make_role("owner", "NOLOGIN")
    name = workbench.database.name
    workbench.execute(
        f"CREATE SCHEMA crm; GRANT USAGE, CREATE ON SCHEMA crm TO {role}, {owner};"
        f" GRANT {owner} TO {role}; GRANT TEMP ON DATABASE {name} TO {owner};"
        f" CREATE TABLE crm.t AS SELECT 1 AS id; GRANT SELECT ON crm.t TO {owner};"
        f" ALTER SCHEMA refresher OWNER TO {role};"
    )
    for table in workbench.execute(
        "SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relkind IN ('r', 'v')"
        " AND c.relnamespace = 'refresher'::regnamespace"
    ):
        workbench.execute(f"ALTER TABLE {table[0]} OWNER TO {role}")
    relation = replace(workbench.define("v", "").relation, schema="crm")
    workbench.define("v", "SELECT id FROM crm.t", relation=relation, key=("id",), owner=owner)
    workbench.work_as(role)

    workbench.apply_well()

    assert acl(workbench, "crm.v") == []
    before = workbench.catalog()
    assert workbench.apply_well() == []
    assert workbench.catalog() == before


def test_names_in_definitions_never_mean_the_store(workbench: Workbench) -> None:
    workbench.execute(
        "CREATE TABLE state AS SELECT 1 AS id;"
        f" ALTER DATABASE {workbench.database.name} SET search_path = refresher, public"
    )
    workbench.define("v", "SELECT id FROM state", key=("id",))

    workbench.apply_well()
    assert workbench.apply_well() == []
    assert workbench.execute("SELECT id FROM public.v") == [(1,)]


def test_long_work_gets_the_time_its_refreshes_get(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    role = make_role("impatient", "LOGIN SUPERUSER")
    workbench.execute(
        f"ALTER ROLE {role} SET statement_timeout = '200ms';"
        " CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$BEGIN PERFORM pg_sleep(0.5); RETURN 1; END$$"
    )
    workbench.define("v", "SELECT 1 AS id", indexes=(Index(expression="slow(id)", name="i"),))
    workbench.work_as(role)

    assert workbench.apply_well() == [("create", "v"), ("populate", "v"), ("index", "v")]
