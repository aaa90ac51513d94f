from datetime import timedelta

from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Secret, Throttle
from refresher.daemon.throttling import Throttling
from refresher.events import DatabaseThrottled, DatabaseUnthrottled, Event
from refresher.observe.vitals import DatabaseVitals
from tests.conftest import Database


def test_it_is_told_once_that_a_throttle_is_lifted(database: Database) -> None:
    events: list[Event] = []
    crm = DatabaseConfig(
        alias="crm",
        conninfo=Secret(database.conninfo),
        throttle=Throttle(oldest_transaction=timedelta(microseconds=1)),
    )
    throttling = Throttling(crm, vitals=DatabaseVitals(), emit=events.append)
    with database.connect() as connection, database.connect() as somebody:
        assert not throttling.look(connection)
        somebody.execute("SET application_name = 'somebody'")
        somebody.execute("BEGIN")
        somebody.execute("SELECT 1")
        assert not throttling.look(connection)
        assert throttling.reason is not None
        somebody.execute("ROLLBACK")
        assert throttling.look(connection)
        assert not throttling.look(connection)
    assert [type(event) for event in events] == [DatabaseThrottled, DatabaseUnthrottled]
