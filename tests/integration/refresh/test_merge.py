"""The strategy `merge`: what differs is written, and nothing else; what can not be is refused."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from refresher.config.model import Checks
from refresher.errors import FailureReason
from refresher.postgres.sessions import Connection
from refresher.runs import Outcome, Run, Strategy
from tests.integration.refresh.conftest import Workshop


def churn(run: Run) -> tuple[int | None, int | None, int | None]:
    return run.rows_inserted, run.rows_updated, run.rows_deleted


def places(workshop: Workshop, name: str) -> dict[int, tuple[Any, ...]]:
    """Where each row is, and which transaction wrote it."""
    rows = workshop.execute(f"SELECT id, ctid::text, xmin::text FROM {name}")
    return {row["id"]: (row["ctid"], row["xmin"]) for row in rows}


def test_only_rows_that_differ_are_written(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    first = workshop.refresh(view)
    assert (first.outcome, first.strategy) == (Outcome.SUCCEEDED, Strategy.MERGE)
    assert churn(first) == (10, 0, 0)
    before = places(workshop, "m")
    workshop.execute("UPDATE t SET v = 0 WHERE id = 3; DELETE FROM t WHERE id = 4")
    workshop.execute("INSERT INTO t VALUES (11, 11)")
    second = workshop.refresh(view)
    assert churn(second) == (1, 1, 1)
    assert second.rows == 10
    after = places(workshop, "m")
    assert {row for row in before if before[row] != after.get(row)} == {3, 4}
    assert workshop.rows("m") == workshop.rows("t")
    third = workshop.refresh(view)
    assert churn(third) == (0, 0, 0)
    assert third.reason is not None
    assert third.reason.startswith("readers go on; last took ")
    assert third.reason.endswith("churn 20.0%")
    assert workshop.state(view).last_change_at == second.finished_at
    assert workshop.tallies(view)["rows", "update"] == 1


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        ("numeric", "1.0", "1.00"),
        ("float8", "'0'", "'-0'"),
        ("jsonb", "'1.0'", "'1.00'"),
        ("json", "'{}'", "'{ }'"),
        ("text", "NULL", "''"),
        ("interval", "'1 day'", "'24 hours'"),
        ("text[]", "'{a}'", "'[2:2]={a}'"),
        ("text", "repeat('a', 100000)", "repeat('a', 99999) || 'b'"),
    ],
)
def test_images_are_compared_not_values(
    workshop: Workshop, type_: str, before: str, after: str
) -> None:
    workshop.execute(f"CREATE TABLE s (id int, v {type_}); INSERT INTO s VALUES (1, {before})")
    view = workshop.table("m", "SELECT id, v FROM s")
    workshop.refresh(view)
    workshop.execute(f"UPDATE s SET v = {after}")
    assert churn(workshop.refresh(view)) == (0, 1, 0)
    (same,) = workshop.execute("SELECT m::record *= s::record AS same FROM m JOIN s USING (id)")
    assert same["same"]


def test_a_key_that_repeats_is_refused_with_examples(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    workshop.execute(
        "ALTER TABLE t DROP CONSTRAINT t_pkey;"
        "INSERT INTO t VALUES (3, 30), (3, 31), (5, 50), (12, 12)"
    )
    run = workshop.refresh(view)
    assert (run.outcome, run.failure) == (Outcome.FAILED, FailureReason.NOT_UNIQUE)
    assert run.error == (
        "the key (id) has 2 values in more than one of 14 rows of the query, such as (3), (5);"
        " correct the query, or the key. The old contents stand"
    )
    assert workshop.rows("m") == [(g, g) for g in range(1, 11)]


@pytest.mark.parametrize(
    ("change", "example"),
    [
        ("INSERT INTO t VALUES (3, 30)", "(3)"),
        ("DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (3, 30)", "(3)"),
        ("INSERT INTO t VALUES (12, 1), (12, 2)", "(12)"),
        ("DELETE FROM t WHERE id < 3; INSERT INTO t VALUES (12, 1), (12, 2)", "(12)"),
        ("DELETE FROM t WHERE id < 3; INSERT INTO t VALUES (3, 30), (12, 12)", "(3)"),
        ("DELETE FROM t; INSERT INTO t VALUES (12, 1), (12, 2), (13, 3)", "(12)"),
    ],
)
def test_a_key_may_repeat_among_old_rows_or_new_ones(
    workshop: Workshop, change: str, example: str
) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    before = places(workshop, "m")
    workshop.execute(f"ALTER TABLE t DROP CONSTRAINT t_pkey; {change}")
    run = workshop.refresh(view)
    assert run.failure is FailureReason.NOT_UNIQUE
    assert run.error is not None
    assert f"has 1 value in more than one of {len(workshop.rows('t'))} rows" in run.error
    assert f"such as {example};" in run.error
    assert places(workshop, "m") == before


def test_a_key_that_is_null_is_refused_with_examples(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, nullif(v, 7) AS w FROM t", key=("id", "w"))
    run = workshop.refresh(view)
    assert run.failure is FailureReason.NOT_UNIQUE
    assert run.error is not None
    assert "the key (id, w) is null in 1 of 10 rows of the query, such as (7, null);" in run.error
    assert workshop.rows("m") == []


def test_a_broken_check_keeps_the_old_rows(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    workshop.execute("DELETE FROM t WHERE id > 2")
    run = workshop.refresh(replace(view, checks=Checks(max_shrink=0.5)))
    assert run.failure is FailureReason.CHECK
    assert len(workshop.rows("m")) == 10
    assert churn(workshop.refresh(view)) == (0, 0, 8)


def test_readers_see_the_old_rows_and_never_wait(workshop: Workshop, bystander: Connection) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    with bystander.transaction():
        bystander.execute("SET LOCAL lock_timeout = '1ms'; LOCK TABLE m IN ACCESS SHARE MODE")
        workshop.execute("UPDATE t SET v = v + 1")
        assert workshop.refresh(view).outcome is Outcome.SUCCEEDED
        held = workshop.execute(
            "SELECT mode FROM pg_locks WHERE relation = 'm'::regclass AND NOT granted"
        )
        assert held == []


def test_values_may_change_places_in_another_unique_index(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    workshop.execute("CREATE UNIQUE INDEX ON m (v)")
    workshop.refresh(view)
    workshop.execute("UPDATE t SET v = 11 - v")
    run = workshop.refresh(view)
    assert churn(run) == (10, 0, 10)
    assert workshop.rows("m") == workshop.rows("t")
    assert workshop.execute("SELECT merge_churn FROM refresher.state") == [{"merge_churn": 10}]


def test_what_somebody_else_wrote_since_is_put_right(
    workshop: Workshop, bystander: Connection
) -> None:
    view = workshop.table("m", "SELECT id, v FROM t, LATERAL pg_sleep(0)")
    workshop.refresh(view)
    bystander.execute("UPDATE m SET v = -1 WHERE id = 1; DELETE FROM m WHERE id = 2")
    bystander.execute("INSERT INTO m VALUES (99, 99)")
    assert churn(workshop.refresh(view)) == (1, 1, 1)
    assert workshop.rows("m") == workshop.rows("t")


@pytest.mark.parametrize("name", ["per%cent", 'quo"ted', "sp ace", "t", "n", "d", "old", "new"])
def test_columns_have_any_name(workshop: Workshop, name: str) -> None:
    quoted = '"{}"'.format(name.replace('"', '""'))
    view = workshop.table("m", f"SELECT id AS {quoted}, v AS other FROM t", key=(name,))
    workshop.refresh(view)
    workshop.execute("UPDATE t SET v = 0 WHERE id = 1; DELETE FROM t WHERE id = 2")
    assert churn(workshop.refresh(view)) == (0, 1, 1)
    assert workshop.rows("m") == workshop.rows("t")


def test_a_table_with_dropped_columns_is_merged(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    workshop.execute("ALTER TABLE m ADD COLUMN gone int; ALTER TABLE m DROP COLUMN gone")
    workshop.refresh(view)
    workshop.execute("UPDATE t SET v = 0")
    assert churn(workshop.refresh(view)) == (0, 10, 0)


def test_everything_may_vanish(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    workshop.execute("TRUNCATE t")
    run = workshop.refresh(view)
    assert (run.rows, *churn(run)) == (0, 0, 0, 10)


def test_a_table_without_its_query_is_told(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    workshop.execute('DROP VIEW refresher."public.m"')
    run = workshop.refresh(view)
    assert run.failure is FailureReason.DEFINITION
    assert run.error is not None
    assert "public.m was not made by refresher" in run.error


def test_what_it_reads_is_protected_like_a_views(workshop: Workshop) -> None:
    workshop.table("m", "SELECT id, v FROM t")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        workshop.execute("ALTER TABLE t DROP COLUMN v")
    workshop.execute("ALTER TABLE t RENAME TO u")
    assert workshop.refresh(workshop.views["m"]).rows == 10


def test_a_table_below_another_one_knows_its_age(workshop: Workshop) -> None:
    low = workshop.table("low", "SELECT id, v FROM t")
    high = workshop.table("high", "SELECT id, v FROM low")
    below = workshop.refresh(low)
    run = workshop.refresh(high)
    state = workshop.state(high)
    assert state.as_of == run.as_of
    assert state.data_as_of == below.as_of
    assert state.oldest == ("high", "low")
    assert state.upstreams_seen == {"low": below.as_of}


def test_a_table_that_lost_its_primary_key_is_not_touched(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    workshop.execute("ALTER TABLE m DROP CONSTRAINT m_pkey; INSERT INTO m VALUES (3, 7)")
    run = workshop.refresh(view)
    assert run.failure is FailureReason.DEFINITION
    assert run.error == "the primary key of public.m is not (id); run `refresher apply`"
    assert len(workshop.rows("m")) == 11


def test_another_key_than_the_tables_is_refused(workshop: Workshop) -> None:
    view = workshop.table("m", "SELECT id, v FROM t")
    run = workshop.refresh(replace(view, key=("v",)))
    assert run.failure is FailureReason.DEFINITION


@pytest.mark.parametrize("type_", ["varchar(1)", "bigint"])
def test_a_column_that_somebody_altered_gets_nothing_that_does_not_fit(
    workshop: Workshop, type_: str
) -> None:
    view = workshop.table("m", "SELECT id, 'v' || v AS v FROM t WHERE v < 10")
    workshop.execute(f"ALTER TABLE m ALTER COLUMN v TYPE {type_} USING NULL")
    run = workshop.refresh(view)
    assert run.outcome is Outcome.FAILED
    assert workshop.rows("m") == []
