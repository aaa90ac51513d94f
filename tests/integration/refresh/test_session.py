from refresher.refresh.session import MOST_ATTEMPTS, Session
from tests.conftest import Database


def test_a_connection_serves_many_attempts_and_not_for_ever(database: Database) -> None:
    session = Session(database.endpoint, worker="test/worker")
    try:
        first = [session.begin_attempt().info.backend_pid for _ in range(MOST_ATTEMPTS)]
        second = [session.begin_attempt().info.backend_pid for _ in range(MOST_ATTEMPTS)]
    finally:
        session.discard()
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]
