"""Verdicts of plain views, and what of all verdicts counts as broken now."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from refresher.config.model import Kind
from refresher.graph import Graph
from refresher.postgres.sessions import Connection
from refresher.store.registry import register
from refresher.store.verdicts import (
    News,
    forget_verdicts,
    read_broken_checks,
    read_judged,
    record_verdicts,
    take_turn,
)
from tests.conftest import Database
from tests.integration.store.conftest import make_view, open_run, values


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as opened:
        know(opened, v=Kind.VIEW, m=Kind.MATERIALIZED_VIEW)
        yield opened


def know(connection: Connection, **kinds: Kind) -> None:
    views = {name: make_view(name, kind=kind) for name, kind in kinds.items()}
    graph = Graph({name: frozenset() for name in views}, frozenset())
    register(connection, views, graph, max_parallel=1)


def broken(connection: Connection, view: str = "v") -> dict[str, str]:
    found = read_broken_checks(connection, [view]).get(view, ())
    return {each.check: each.message for each in found}


def test_what_is_new_is_told_once(connection: Connection) -> None:
    first = record_verdicts(connection, "v", {"columns": "a is missing", "min_rows": None})
    again = record_verdicts(connection, "v", {"columns": "a is missing", "min_rows": None})
    other = record_verdicts(connection, "v", {"columns": "b is missing", "min_rows": "none"})
    mended = record_verdicts(connection, "v", {"columns": None, "min_rows": "none"})

    assert first == (News(check="columns", message="a is missing"),)
    assert again == ()
    assert other == (
        News(check="columns", message="b is missing"),
        News(check="min_rows", message="none"),
    )
    assert mended == (News(check="columns", message=None),)
    assert broken(connection) == {"min_rows": "none"}


def test_since_when_is_kept_until_it_is_mended(connection: Connection) -> None:
    def since() -> Any:
        ((found,),) = [
            [each.broken_since for each in checks]
            for checks in read_broken_checks(connection, ["v"]).values()
        ]
        return found

    record_verdicts(connection, "v", {"columns": "a"})
    began = since()
    record_verdicts(connection, "v", {"columns": "b"})
    (still,) = read_broken_checks(connection, ["v"])["v"]
    assert still.broken_since == began < still.checked_at
    record_verdicts(connection, "v", {"columns": None})
    record_verdicts(connection, "v", {"columns": "b"})
    assert since() > still.checked_at


def test_checks_that_are_no_longer_judged_are_not_broken(connection: Connection) -> None:
    record_verdicts(connection, "v", {"columns": "a", "assert": "no"})
    record_verdicts(connection, "v", {"columns": "a"})
    assert broken(connection) == {"columns": "a"}
    forget_verdicts(connection, ["v"])
    assert broken(connection) == {}
    assert read_judged(connection, ["v"])["v"].at is None


def test_when_a_view_was_judged_is_known(connection: Connection) -> None:
    assert read_judged(connection, ["v"])["v"].at is None
    with connection.transaction():
        began = values(connection, "SELECT transaction_timestamp()")[0]
        record_verdicts(connection, "v", {"columns": None})
    judged = read_judged(connection, ["v", "other"])
    assert judged["v"].at == began < judged["v"].now
    assert judged["other"].at is None
    assert judged["v"].now - began < timedelta(minutes=1)


def test_one_process_judges_a_view_at_a_time(connection: Connection, database: Database) -> None:
    with database.connect() as other:
        with other.transaction():
            assert take_turn(other, "v")
            with connection.transaction():
                assert not take_turn(connection, "v")
                assert take_turn(connection, "m")
        with connection.transaction():
            assert take_turn(connection, "v")


def refuse(connection: Connection, run: int) -> None:
    connection.execute(
        "INSERT INTO refresher.verdict"
        " (view, check_name, message, broken_since, checked_at, run)"
        " VALUES ('m', 'min_rows', 'too few', now(), now(), %s)",
        [run],
    )


def succeed(connection: Connection, run: int) -> None:
    connection.execute(
        "INSERT INTO refresher.state (view, relation, as_of, watermark, run, rows)"
        " VALUES ('m', 1, now(), pg_current_snapshot(), %(run)s, 1)"
        " ON CONFLICT (view) DO UPDATE SET run = excluded.run",
        {"run": run},
    )


def test_a_refused_refresh_counts_until_a_later_one_succeeds(connection: Connection) -> None:
    runs = [open_run(connection, "m") for _ in range(3)]
    succeed(connection, runs[0])
    refuse(connection, runs[1])
    assert broken(connection, "m") == {"min_rows": "too few"}
    succeed(connection, runs[2])
    assert broken(connection, "m") == {}


def test_a_view_that_never_had_contents_may_break_checks(connection: Connection) -> None:
    refuse(connection, open_run(connection, "m"))
    assert broken(connection, "m") == {"min_rows": "too few"}


def test_verdicts_are_of_the_kind_the_view_has_now(connection: Connection) -> None:
    refuse(connection, open_run(connection, "m"))
    record_verdicts(connection, "v", {"min_rows": "too few"})

    know(connection, v=Kind.MATERIALIZED_VIEW, m=Kind.VIEW)

    assert (broken(connection, "v"), broken(connection, "m")) == ({}, {})
    assert record_verdicts(connection, "m", {"min_rows": "none"}) == (
        News(check="min_rows", message="none"),
    )
    assert broken(connection, "m") == {"min_rows": "none"}


def test_what_is_not_managed_is_not_broken(connection: Connection) -> None:
    record_verdicts(connection, "gone", {"columns": "a is missing"})
    assert broken(connection, "gone") == {}
