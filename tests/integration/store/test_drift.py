from datetime import timedelta

import psycopg
import pytest

from refresher.postgres.sessions import Connection
from refresher.store.drift import (
    DriftRecord,
    Watched,
    ask_for_look,
    look_due,
    look_overdue,
    read_watched,
    record_drift,
    record_problem,
)
from refresher.store.presence import beat
from refresher.store.registry import forget_abandoned
from tests.conftest import Database
from tests.integration.store.conftest import make_known, values

OWNER = DriftRecord(view="a", aspect="owner", message="owned by eve, not crm")
INDEXES = DriftRecord(view="b", aspect="indexes", message="index b_id: missing")
FIVE_MINUTES = timedelta(minutes=5)


def test_what_was_never_looked_at_is_unknown(connection: Connection) -> None:
    assert read_watched(connection, ["a"]) == {"a": Watched()}
    assert look_due(connection, ["a"], every=FIVE_MINUTES)


def test_drift_is_news_once_and_so_is_its_end(connection: Connection) -> None:
    assert record_drift(connection, ["a", "b"], [OWNER, INDEXES]) == ((OWNER, INDEXES), ())
    (found,) = read_watched(connection, ["a"])["a"].drift
    assert (found.aspect, found.message) == (OWNER.aspect, OWNER.message)

    assert record_drift(connection, ["a", "b"], [OWNER, INDEXES]) == ((), ())
    assert read_watched(connection, ["a"])["a"].drift == (found,)

    assert record_drift(connection, ["a", "b"], [INDEXES]) == ((), (OWNER,))
    watched = read_watched(connection, ["a", "b"])
    assert watched["a"].drift == ()
    assert watched["a"].looked_at == watched["b"].looked_at
    assert [drift.aspect for drift in watched["b"].drift] == ["indexes"]


def test_another_difference_in_the_same_aspect_is_news(connection: Connection) -> None:
    record_drift(connection, ["a"], [OWNER])
    (before,) = read_watched(connection, ["a"])["a"].drift
    other = DriftRecord(view="a", aspect="owner", message="owned by bob, not crm")

    assert record_drift(connection, ["a"], [other]) == ((other,), ())

    (after,) = read_watched(connection, ["a"])["a"].drift
    assert (after.message, after.found_at) == (other.message, before.found_at)


def test_a_look_at_some_views_says_nothing_of_others(connection: Connection) -> None:
    record_drift(connection, ["a", "b"], [OWNER, INDEXES])

    assert record_drift(connection, ["b"], []) == ((), (INDEXES,))

    assert read_watched(connection, ["a"])["a"].drift != ()


def test_a_problem_is_news_once_and_keeps_what_was_known(connection: Connection) -> None:
    record_drift(connection, ["a", "b"], [OWNER])
    before = read_watched(connection, ["a"])["a"]

    assert record_problem(connection, ["a", "b"], "no TEMP")
    assert not record_problem(connection, ["a", "b"], "no TEMP")

    after = read_watched(connection, ["a"])["a"]
    assert after.problem == "no TEMP"
    assert (after.looked_at, after.drift) == (before.looked_at, before.drift)

    record_drift(connection, ["a", "b"], [])
    assert read_watched(connection, ["a"])["a"].problem is None
    assert record_problem(connection, ["a", "b"], "no TEMP")


def test_one_look_is_enough_for_all_until_it_is_old_or_asked_for(connection: Connection) -> None:
    record_drift(connection, ["a", "b"], [])
    assert not look_due(connection, ["a", "b"], every=FIVE_MINUTES)
    assert look_due(connection, ["a", "c"], every=FIVE_MINUTES)
    assert look_due(connection, ["a"], every=timedelta(0))
    assert not look_due(connection, [], every=FIVE_MINUTES)

    assert not look_overdue(connection, every=FIVE_MINUTES)
    assert look_overdue(connection, every=timedelta(0))

    ask_for_look(connection, ["b"])
    assert look_overdue(connection, every=FIVE_MINUTES)
    assert look_due(connection, ["a", "b"], every=FIVE_MINUTES)
    assert not look_due(connection, ["a"], every=FIVE_MINUTES)

    record_problem(connection, ["b"], "no TEMP")
    assert not look_due(connection, ["a", "b"], every=FIVE_MINUTES)


def test_what_two_find_at_once_is_told_by_one(connection: Connection, database: Database) -> None:
    with database.connect() as other, other.transaction():
        assert record_drift(other, ["a"], [OWNER]) == ((OWNER,), ())
        connection.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            record_drift(connection, ["a"], [OWNER])

    assert record_drift(connection, ["a"], [OWNER]) == ((), ())


def test_a_forgotten_view_leaves_nothing(connection: Connection) -> None:
    make_known(connection, "a", "b")
    record_drift(connection, ["a", "b"], [OWNER, INDEXES])
    connection.execute(
        "INSERT INTO refresher.outside (view, run, storage, rows_written)"
        " VALUES ('a', 1, 1, 1), ('b', 1, 1, 1)"
    )
    connection.execute(
        "INSERT INTO refresher.verdict (view, check_name, checked_at)"
        " VALUES ('a', 'min_rows', now()), ('b', 'min_rows', now())"
    )
    beat(connection, worker="me", kind="daemon", views=["b"])

    forget_abandoned(connection)

    for table in ("view", "drift", "look", "outside", "verdict"):
        column = "name" if table == "view" else "view"
        assert values(connection, f"SELECT {column} FROM refresher.{table}") == ["b"]
