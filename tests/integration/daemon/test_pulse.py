"""Whose fault it is that a loop does not go round."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from refresher.daemon import pulse
from refresher.daemon.pulse import Pulse
from refresher.events import DatabaseDown, DatabaseUp, Event
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "_SILENT_SECONDS", -1.0)
    monkeypatch.setattr(pulse, "_UNANSWERED_SECONDS", -1.0)


@pytest.fixture
def asking(database: Database) -> Iterator[Connection]:
    """A connection whose statement is not answered, until the one in the way goes on."""
    with (
        database.connect() as connection,
        database.connect() as other,
        ThreadPoolExecutor(1) as thread,
    ):
        other.execute("SELECT pg_advisory_lock(1)")
        answer = thread.submit(connection.execute, "SELECT pg_advisory_lock(1)")
        wait_until(lambda: _waiting(other), what="the wait")
        try:
            yield connection
        finally:
            other.execute("SELECT pg_advisory_unlock(1)")
            answer.result()


def test_a_loop_that_asks_nothing_hangs_by_itself(database: Database) -> None:
    events: list[Event] = []
    loop = Pulse("crm", events.append)
    assert loop.silent

    with database.connect() as connection:
        loop.follow(connection)
        loop.look()
        assert loop.silent
    assert loop.silent
    assert events == []


def test_a_loop_that_gets_no_answer_is_not_silent_and_tells_once(asking: Connection) -> None:
    events: list[Event] = []
    loop = Pulse("crm", events.append)
    loop.follow(asking)

    loop.look()
    loop.look()
    assert not loop.silent
    (told,) = events
    assert isinstance(told, DatabaseDown)
    assert told.retry_in is None

    loop.beat()
    loop.beat()
    assert events == [told, DatabaseUp(database="crm")]


def _waiting(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database"
        " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
    ).fetchone()
    return row is not None and row["count"] > 0
